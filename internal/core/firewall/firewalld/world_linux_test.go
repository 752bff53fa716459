package firewalld_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/firewalld"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

func TestMain(m *testing.M) { bedtest.Main(m) }

const (
	patience = bedtest.Patience
	silence  = bedtest.Silence
	whoPort  = bedtest.WhoPort
)

var settings = firewall.Settings{IPv6Prefix: 64, KnockPort: 54754, KnockLength: 128}

// start makes a bed with a firewalld that refuses all, as it does after its installation.
func start(t *testing.T) (*bed.Bed, *bedtest.Firewalld) {
	t.Helper()
	t.Parallel()
	b := bedtest.New(t)
	f := bedtest.NewFirewalld(t, b.Router)
	f.Start()
	bedtest.Serves(t, b.Lan)
	return b, f
}

func newDriver(tb testing.TB, h *bed.Host, cfg firewalld.Config) *firewalld.Driver {
	tb.Helper()
	var d *firewalld.Driver
	if err := h.Do(func() (err error) { d, err = firewalld.New(tb.Context(), cfg); return err }); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := d.Close(); err != nil {
			tb.Error(err)
		}
	})
	return d
}

func ruleset(s firewall.Settings, forwards ...firewall.Forward) firewall.Ruleset {
	r := firewall.Ruleset{Settings: s, Forwards: map[firewall.Key]firewall.Forward{}}
	for _, f := range forwards {
		r.Forwards[f.Key] = f
	}
	return r
}

// source is the network of a host's address that a session would admit.
func source(a netip.Addr) netip.Prefix {
	p, err := ownline.SourceOf(a, settings.IPv6Prefix)
	if err != nil { // documentation addresses are public to us
		panic(err)
	}
	return p
}

func forward(a netip.Addr, transport ownline.Transport, port uint16, target netip.AddrPort, last time.Duration) firewall.Forward {
	return firewall.Forward{
		Key:    firewall.Key{Source: source(a), Transport: transport, Port: port},
		Target: target, Until: time.Now().Add(last),
	}
}

var transports = []ownline.Transport{ownline.TCP, ownline.UDP}
