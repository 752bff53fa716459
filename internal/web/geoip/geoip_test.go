package geoip_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/geoip"
	"github.com/ownline/ownline/internal/web/geoip/geoiptest"
)

func countries(t *testing.T) string {
	return geoiptest.Countries(t, map[string]string{"198.51.100.0/24": "ES", "2001:db8:1::/48": "FR"})
}

func systems(t *testing.T) string {
	return geoiptest.Systems(t, map[string]geoiptest.AS{"198.51.100.0/24": {Number: 64500, Name: "Example Mobile"}, "2001:db8:1::/48": {Number: 64501}})
}

func load(t *testing.T, o geoip.Options) *geoip.Databases {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	d := geoip.New(o)
	if err := d.Load(); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestLookups(t *testing.T) {
	d := load(t, geoip.Options{Country: countries(t), ASN: systems(t)})
	for addr, want := range map[string]struct {
		country string
		number  uint32
		name    string
	}{
		"198.51.100.7":          {"ES", 64500, "Example Mobile"},
		"::ffff:198.51.100.7":   {"ES", 64500, "Example Mobile"},
		"2001:db8:1::5":         {"FR", 64501, ""},
		"198.51.101.7":          {},
		"2001:db8:2::5":         {},
		"192.168.1.1":           {},
		"fe80::1%eth0":          {},
		"255.255.255.255":       {},
		"0.0.0.0":               {},
		"::":                    {},
		"64:ff9b::c633:6407":    {},                              // a NAT64 address is nobody's
		"2002:c633:6407::1":     {"ES", 64500, "Example Mobile"}, // 6to4: aliased by the format
		"2001:db8:1:ffff::ffff": {"FR", 64501, ""},
	} {
		a := netip.MustParseAddr(addr)
		if got, ok := d.Country(a); got != want.country || ok != (want.country != "") {
			t.Errorf("Country(%s) = %q, %v", addr, got, ok)
		}
		number, name, ok := d.ASN(a)
		if number != want.number || name != want.name || ok != (want.number != 0) {
			t.Errorf("ASN(%s) = %d, %q, %v", addr, number, name, ok)
		}
	}
	if got, ok := d.Country(netip.Addr{}); ok || got != "" {
		t.Errorf("Country of no address = %q", got)
	}
}

// Without a file, and before it is read, nothing is known.
func TestNothingKnown(t *testing.T) {
	a := netip.MustParseAddr("198.51.100.7")
	for name, d := range map[string]*geoip.Databases{
		"no files": load(t, geoip.Options{}), "not read": geoip.New(geoip.Options{Country: countries(t), ASN: systems(t)}),
	} {
		if got, ok := d.Country(a); ok || got != "" {
			t.Errorf("%s: Country = %q", name, got)
		}
		if number, as, ok := d.ASN(a); ok || number != 0 || as != "" {
			t.Errorf("%s: ASN = %d %q", name, number, as)
		}
	}
}

func TestBadFiles(t *testing.T) {
	nonsense := filepath.Join(t.TempDir(), "nonsense")
	put(t, nonsense, []byte("nonsense"))
	cut := filepath.Join(t.TempDir(), "cut")
	whole := get(t, countries(t))
	put(t, cut, whole[:len(whole)/2])
	for name, tc := range map[string]struct {
		o    geoip.Options
		want string
	}{
		"missing":         {geoip.Options{Country: "/nonexistent/x"}, "policy.geoip_database: /nonexistent/x: no such file or directory"},
		"missing, asn":    {geoip.Options{ASN: "/nonexistent/x"}, "policy.asn_database: /nonexistent/x: no such file or directory"},
		"folder":          {geoip.Options{ASN: "/"}, "policy.asn_database: /: is a directory"},
		"nonsense":        {geoip.Options{Country: nonsense}, "policy.geoip_database: " + nonsense + ": is not a database in MaxMind's format, or is broken"},
		"cut":             {geoip.Options{Country: cut}, "policy.geoip_database: " + cut + ": is not a database in MaxMind's format, or is broken"},
		"asn for country": {geoip.Options{Country: systems(t)}, `.mmdb: is a database of the type "GeoLite2-ASN", which holds no countries (country.iso_code)`},
		"country for asn": {geoip.Options{ASN: countries(t)}, `.mmdb: is a database of the type "GeoLite2-Country", which holds no autonomous systems (autonomous_system_number)`},
		"empty":           {geoip.Options{ASN: geoiptest.Systems(t, nil)}, "holds no autonomous systems"},
	} {
		t.Run(name, func(t *testing.T) {
			err := geoip.New(tc.o).Load()
			if !errors.Is(err, ownline.ErrInvalid) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

// A replaced file is used soon; a broken or missing one leaves the one from before, and says
// so once.
func TestReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "live.mmdb")
		replace := func(content []byte) { // as programs that fetch such files do
			put(t, name+".new", content)
			if err := os.Rename(name+".new", name); err != nil {
				t.Fatal(err)
			}
		}
		spain, france := get(t, countries(t)), get(t, geoiptest.Countries(t, map[string]string{"198.51.100.0/24": "FR"}))
		replace(spain)
		log := &lines{}
		d := load(t, geoip.Options{Country: name, Log: slog.New(slog.NewTextHandler(log, nil))})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- d.Run(ctx) }()
		a := netip.MustParseAddr("198.51.100.7")
		is := func(step, want, says string) {
			t.Helper()
			time.Sleep(time.Minute)
			synctest.Wait()
			if got, _ := d.Country(a); got != want {
				t.Errorf("%s: the country is %q, want %q", step, got, want)
			}
			if got := log.take(); strings.Count(got, "\n") != min(len(says), 1) || !strings.Contains(got, says) {
				t.Errorf("%s: the log says %q, want one line with %q", step, got, says)
			}
		}
		is("nothing new", "ES", "")
		replace(france)
		is("replaced", "FR", "was read again")
		replace([]byte("nonsense"))
		is("broken", "FR", "policy.geoip_database")
		put(t, name, spain) // in place
		is("overwritten", "ES", "was read again")
		put(t, name, france[:100])
		is("cut", "ES", "policy.geoip_database")
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		is("gone", "ES", "no such file")
		replace(france)
		is("back", "FR", "was read again")
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Lookups go on while files are replaced. (For the race detector.)
func TestConcurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		name := countries(t)
		files := [][]byte{get(t, name), get(t, geoiptest.Countries(t, map[string]string{"198.51.100.0/24": "FR"}))}
		d := load(t, geoip.Options{Country: name})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := d.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		a := netip.MustParseAddr("198.51.100.7")
		for range 4 {
			wg.Go(func() {
				for ctx.Err() == nil {
					for range 100 {
						if got, ok := d.Country(a); !ok || got != "ES" && got != "FR" {
							t.Errorf("got %q, %v", got, ok)
							return
						}
					}
					time.Sleep(time.Second)
				}
			})
		}
		for i := range 20 {
			put(t, name, files[i%2])
			time.Sleep(15 * time.Second)
		}
		cancel()
		wg.Wait()
	})
}

func put(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, name string) []byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// lines is a log.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return l.b.String()
}
