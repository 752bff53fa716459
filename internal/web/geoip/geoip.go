package geoip

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// Options are the files of the databases.
type Options struct {
	Country string // with country.iso_code, as GeoLite2-Country and -City have; "": none
	ASN     string // with autonomous_system_number, as GeoLite2-ASN has; "": none
	Log     *slog.Logger
}

// Databases are the two databases. Safe for concurrent use. Before Load, and without a file,
// everything is unknown.
type Databases struct {
	country file[country]
	asn     file[asn]
	log     *slog.Logger
}

// country and asn are what is read of a record.
type country struct {
	Country struct {
		ISOCode string `maxminddb:"iso_code"`
	} `maxminddb:"country"`
}

type asn struct {
	Number uint32 `maxminddb:"autonomous_system_number"`
	Name   string `maxminddb:"autonomous_system_organization"`
}

func (c country) known() bool { return c.Country.ISOCode != "" }
func (a asn) known() bool     { return a.Number != 0 }

// New makes the databases; it reads nothing.
func New(o Options) *Databases {
	return &Databases{
		country: file[country]{path: o.Country, key: "policy.geoip_database", holds: "countries (country.iso_code)"},
		asn:     file[asn]{path: o.ASN, key: "policy.asn_database", holds: "autonomous systems (autonomous_system_number)"},
		log:     o.Log,
	}
}

// Load reads the files. A file that is missing or is no such database is an error that names
// the key of web.yaml.
func (d *Databases) Load() error {
	for _, f := range []interface{ look() (bool, error) }{&d.country, &d.asn} {
		if _, err := f.look(); err != nil {
			return err
		}
	}
	return nil
}

// lookEvery is how soon a file that was replaced is noticed.
const lookEvery = 10 * time.Second

// Run reads a file again when it changes, until ctx ends. A new file that can't be read
// leaves the old one in use, and a warning.
func (d *Databases) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		follow(d.log, &d.country)
		follow(d.log, &d.asn)
	}
}

// Country returns the two letters (ISO 3166-1) of the country that an address is in, and
// whether it is known.
func (d *Databases) Country(a netip.Addr) (string, bool) {
	r, ok := d.country.find(a)
	return r.Country.ISOCode, ok
}

// ASN returns the number and the name of the autonomous system that an address belongs to,
// and whether it is known. The name may be empty.
func (d *Databases) ASN(a netip.Addr) (number uint32, name string, ok bool) {
	r, ok := d.asn.find(a)
	return r.Number, r.Name, ok
}

// invalid is an error about a file.
func invalid(key, path, detail string) error { return ownline.Invalid(key, path+": "+detail) }
