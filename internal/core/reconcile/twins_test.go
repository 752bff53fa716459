package reconcile

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// A session to the proxy is open over UDP as well where that speaks HTTP/3, for as long; other
// sessions are not.
func TestTwins(t *testing.T) {
	at := firewall.Proxy{Port: 9999, Addr4: netip.MustParseAddr("169.254.57.99"), UDP: true}
	bubble(t, func(t *testing.T, r *room) {
		reaches := func(tr ownline.Transport, port uint16) bool {
			synctest.Wait()
			_, ok := r.fake.Reach(source.Addr(), tr, port)
			return ok
		}
		open := func(n uint64, port uint16, target netip.AddrPort) ownline.SessionID {
			t.Helper()
			s := link.Session{ID: ownline.NewID[ownline.Session](), Source: source, Transport: ownline.TCP, PublicPort: port, Target: target}
			generation, _, err := r.book.Put(rev(n), s, time.Now().Add(time.Hour))
			if err == nil {
				err = r.Wait(t.Context(), generation)
			}
			if err != nil {
				t.Fatal(err)
			}
			return s.ID
		}
		proxied := netip.AddrPortFrom(at.Addr4, at.Port)
		before := open(2, at.Port, proxied)
		if reaches(ownline.UDP, at.Port) {
			t.Error("open over UDP without HTTP/3")
		}
		r.SetProxy(at)
		if !reaches(ownline.UDP, at.Port) || !reaches(ownline.TCP, at.Port) {
			t.Error("not open over both, after all was compared")
		}
		end := func(n uint64, id ownline.SessionID) {
			t.Helper()
			generation, err := r.book.End(rev(n), id)
			if err == nil {
				err = r.Wait(t.Context(), generation)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		end(3, before)
		if reaches(ownline.UDP, at.Port) {
			t.Error("open over UDP after the session")
		}
		again := open(4, at.Port, proxied)
		if !reaches(ownline.UDP, at.Port) {
			t.Error("not open over UDP after a change")
		}
		open(5, 20000, target)
		if reaches(ownline.UDP, 20000) {
			t.Error("another session is open over UDP")
		}
		r.SetProxy(firewall.Proxy{})
		if reaches(ownline.UDP, at.Port) || !reaches(ownline.TCP, at.Port) {
			t.Error("without HTTP/3 it is open over UDP still, or not over TCP any more")
		}
		end(6, again)
	})
}

// Traffic over UDP is the session's.
func TestTwinsCounted(t *testing.T) {
	p := firewall.Proxy{Port: 9999, UDP: true}
	tcp := firewall.Key{Source: source, Transport: ownline.TCP, Port: p.Port}
	udp := firewall.Key{Source: source, Transport: ownline.UDP, Port: p.Port}
	counters := map[firewall.Key]ownline.Traffic{tcp: {UpBytes: 1, DownPackets: 2}, udp: {UpBytes: 10, DownPackets: 20}}
	countTwins(p, counters)
	if got, want := counters[tcp], (ownline.Traffic{UpBytes: 11, DownPackets: 22}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Whoever asks for a session's counters gets its twin's with them, as the book does.
func TestTwinsAskedFor(t *testing.T) {
	at := firewall.Proxy{Port: 9999, Addr4: netip.MustParseAddr("169.254.57.99"), UDP: true}
	bubble(t, func(t *testing.T, r *room) {
		r.SetProxy(at)
		s := link.Session{ID: ownline.NewID[ownline.Session](), Source: source, Transport: ownline.TCP, PublicPort: at.Port, Target: netip.AddrPortFrom(at.Addr4, at.Port)}
		generation, _, err := r.book.Put(rev(2), s, time.Now().Add(time.Hour))
		if err == nil {
			err = r.Wait(t.Context(), generation)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, tr := range []ownline.Transport{ownline.TCP, ownline.UDP, ownline.UDP} {
			if _, ok := r.fake.Reach(source.Addr(), tr, at.Port); !ok {
				t.Fatalf("not open over %s", tr)
			}
		}
		key := firewall.Key{Source: source, Transport: ownline.TCP, Port: at.Port}
		got, err := r.Counters(t.Context(), key)
		if err != nil || got[key].UpPackets != 3 {
			t.Errorf("%+v, %v", got, err)
		}
		time.Sleep(2 * countEvery)
		synctest.Wait()
		if l := r.book.List(); l[0].Traffic != got[key] {
			t.Errorf("the book has %+v", l[0].Traffic)
		}
	})
}
