package notify

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/geoip"
	"github.com/ownline/ownline/internal/web/geoip/geoiptest"
)

// memory remembers places as the database does, and counts how often it is asked.
type memory struct {
	mu    sync.Mutex
	seen  map[ownline.DeviceID][]ownline.Place
	asked int
}

func (m *memory) SeePlaces(_ context.Context, d ownline.DeviceID, places []ownline.Place, _ time.Time) (fresh []ownline.Place, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	for _, p := range places {
		history := slices.ContainsFunc(m.seen[d], func(q ownline.Place) bool { return q.Kind == p.Kind })
		if slices.Contains(m.seen[d], p) {
			continue
		}
		m.seen[d] = append(m.seen[d], p)
		if history {
			fresh = append(fresh, p)
		}
	}
	return fresh, nil
}

// A knock from a country or a network that is new to its device is told, but not the very
// first; and knocks from where it always is cost the database nothing.
func TestNewPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		geo := geoip.New(geoip.Options{
			Country: geoiptest.Countries(t, map[string]string{"198.51.100.0/24": "ES", "203.0.113.0/24": "FR", "192.0.2.0/24": "ES"}),
			ASN: geoiptest.Systems(t, map[string]geoiptest.AS{
				"198.51.100.0/24": {Number: 64500, Name: "Mobile"}, "203.0.113.0/24": {Number: 64501, Name: "Hotel"}, "192.0.2.0/24": {Number: 64502, Name: "Cable"},
			}),
		})
		if err := geo.Load(); err != nil {
			t.Fatal(err)
		}
		m := &memory{seen: make(map[ownline.DeviceID][]ownline.Place)}
		n, box := boxed(t, Options{Geo: geo, Systems: true, Places: m}, "device")
		defer running(t, n, &desk{})()
		phone := ownline.NewID[ownline.Device]()
		knock := func(d ownline.DeviceID, from string) {
			a := netip.MustParseAddr(from)
			n.Report(ownline.News{Kind: ownline.DeviceKnocked, User: "ana", Site: "home", Device: "phone", DeviceID: d, Source: netip.PrefixFrom(a, a.BitLen())})
			time.Sleep(2 * foldDefault)
		}
		knock(phone, "198.51.100.7")
		expect(t, "the very first", box)
		knock(phone, "198.51.100.99")
		if m.asked != 1 {
			t.Errorf("the database was asked %d times", m.asked)
		}
		knock(phone, "203.0.113.9")
		expect(t, "another country", box, "ana's phone knocked at home from 203.0.113.9 (Hotel, FR), a country that is new to it")
		knock(phone, "192.0.2.4")
		expect(t, "another network", box, "ana's phone knocked at home from 192.0.2.4 (Cable, ES), a network that is new to it")
		knock(phone, "203.0.113.77")
		expect(t, "back", box)
		knock(phone, "2001:db8:5::1")
		expect(t, "a network that nobody knows", box, "ana's phone knocked at home from 2001:db8:5::1, a network that is new to it")
		knock(ownline.NewID[ownline.Device](), "203.0.113.9")
		expect(t, "another device's first", box)
	})
}

// Without databases, networks are told apart by their first bits.
func TestPrefixes(t *testing.T) {
	n := made(t, Options{})
	for addr, want := range map[string]string{"198.51.100.7": "198.51.0.0/16", "2001:db8:5::1": "2001:db8::/32"} {
		got := n.placesOf(netip.MustParseAddr(addr))
		if len(got) != 1 || got[0] != (ownline.Place{Kind: ownline.PlacePrefix, Name: want}) {
			t.Errorf("%s is at %v", addr, got)
		}
	}
}

// More knocks than can be looked at are let go: nobody waits.
func TestManyKnocks(t *testing.T) {
	n := made(t, Options{}) // not running
	for range 10 * knocksWaiting {
		n.Report(ownline.News{Kind: ownline.DeviceKnocked, DeviceID: ownline.NewID[ownline.Device](), Source: netip.MustParsePrefix("198.51.100.7/32")})
	}
	if len(n.knocks) != knocksWaiting {
		t.Errorf("%d wait", len(n.knocks))
	}
}
