// Package geoiptest writes small databases in MaxMind's format for tests.
package geoiptest

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// AS is an autonomous system.
type AS struct {
	Number uint32
	Name   string
}

// Countries writes a database of countries, network by network, as GeoLite2-Country is one,
// and returns its file.
func Countries(t *testing.T, countries map[string]string) string {
	t.Helper()
	records := make(map[string]mmdbtype.DataType, len(countries))
	for network, code := range countries {
		records[network] = mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String(code), "geoname_id": mmdbtype.Uint32(1)}}
	}
	return write(t, "GeoLite2-Country", records)
}

// Systems writes a database of autonomous systems, network by network, as GeoLite2-ASN is
// one, and returns its file.
func Systems(t *testing.T, systems map[string]AS) string {
	t.Helper()
	records := make(map[string]mmdbtype.DataType, len(systems))
	for network, as := range systems {
		records[network] = mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(as.Number), "autonomous_system_organization": mmdbtype.String(as.Name)}
	}
	return write(t, "GeoLite2-ASN", records)
}

func write(t *testing.T, kind string, records map[string]mmdbtype.DataType) string {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: kind, RecordSize: 24, IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	for network, record := range records {
		p := netip.MustParsePrefix(network)
		mask := net.CIDRMask(p.Bits(), p.Addr().BitLen())
		if err := tree.Insert(&net.IPNet{IP: p.Addr().AsSlice(), Mask: mask}, record); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(t.TempDir(), kind+".mmdb")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}
