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

// What came through a session right before it ended is told, however it ended; over UDP to the
// proxy as well.
func TestCountedToTheEnd(t *testing.T) {
	at := firewall.Proxy{Port: 9999, Addr4: netip.MustParseAddr("169.254.57.99"), UDP: true}
	proxied := netip.AddrPortFrom(at.Addr4, at.Port)
	for name, end := range map[string]func(r *room, id ownline.SessionID) (uint64, error){
		"closed":     func(r *room, id ownline.SessionID) (uint64, error) { return r.book.End(rev(9), id) },
		"all closed": func(r *room, _ ownline.SessionID) (uint64, error) { return r.book.FlushFor(rev(9)) },
		"flushed":    func(r *room, _ ownline.SessionID) (uint64, error) { g, _, _ := r.book.FlushHere(); return g, nil },
		"not in the state": func(r *room, _ ownline.SessionID) (uint64, error) {
			if _, _, err := r.book.Replace(rev(9), nil, nil); err != nil {
				return 0, err
			}
			return 0, r.Replaced(t.Context(), 64)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *room) {
				r.SetProxy(at)
				s := link.Session{
					ID: ownline.NewID[ownline.Session](), Source: source, Transport: ownline.TCP, PublicPort: at.Port, Target: proxied,
					Counted: ownline.Traffic{UpBytes: 5000, UpPackets: 50, DownBytes: 5000, DownPackets: 50}, // by other rules
				}
				generation, _, err := r.book.Put(rev(2), s, time.Now().Add(time.Hour))
				if err == nil {
					err = r.Wait(t.Context(), generation)
				}
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Second) // by when these rules have counted nothing
				synctest.Wait()
				for _, tr := range []ownline.Transport{ownline.TCP, ownline.UDP} {
					if _, ok := r.fake.Reach(source.Addr(), tr, at.Port); !ok {
						t.Fatal("not open over", tr)
					}
				}
				generation, err = end(r, s.ID)
				if err == nil {
					err = r.Wait(t.Context(), generation)
				}
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				r.mu.Lock()
				defer r.mu.Unlock()
				if got := r.last[s.ID]; got.UpBytes != 5200 || got.DownBytes != 5200 {
					t.Errorf("%+v, want 5200 bytes each way", got)
				}
			})
		})
	}
}

// The kernel forgets what it counted with a session's time, so that is read before.
func TestCountedUntilExpiry(t *testing.T) {
	bubble(t, func(t *testing.T, r *room) {
		began := time.Now()
		ids := map[ownline.SessionID]bool{}
		for i := range 3 { // one close behind the other
			id, _, err := r.open(t, uint64(2+i), uint16(20000+i), began.Add(10500*time.Millisecond+time.Duration(i)*30*time.Millisecond))
			if err != nil {
				t.Fatal(err)
			}
			ids[id] = true
		}
		time.Sleep(10400 * time.Millisecond)
		for i := range 3 {
			if _, ok := r.fake.Reach(source.Addr(), ownline.TCP, uint16(20000+i)); !ok {
				t.Fatal("not open")
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		for _, ev := range r.told() {
			if ev.Type == link.EventEnded && ids[ev.Ended.ID] {
				delete(ids, ev.Ended.ID)
				if ev.Ended.Traffic.UpBytes != 100 {
					t.Errorf("ended with %+v, want 100 bytes", ev.Ended.Traffic)
				}
			}
		}
		if len(ids) != 0 {
			t.Errorf("%d are not told of", len(ids))
		}
	})
}
