package session

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

func proxied(service ownline.ServiceID, from netip.Prefix) link.Session {
	return link.Session{
		ID: ownline.NewID[ownline.Session](), Kind: ownline.Proxy, ServiceID: service, Source: from,
		Transport: ownline.TCP, PublicPort: 9999, Target: nas,
	}
}

// Invariant 3 and 4: a source is let in to the service of its session, and to no other, as long
// as one such session lives.
func TestAdmitted(t *testing.T) {
	b := started(t)
	a, other := ownline.NewID[ownline.Service](), ownline.NewID[ownline.Service]()
	v6 := netip.MustParsePrefix("2001:db8:1:1::/64")
	first, second, six := proxied(a, source), proxied(a, source), proxied(a, v6)
	put(t, b, 2, first, now.Add(time.Minute))
	put(t, b, 3, second, now.Add(time.Hour))
	put(t, b, 4, six, now.Add(time.Hour))
	plain := sess(20000, nas)
	plain.ServiceID = other
	put(t, b, 5, plain, now.Add(time.Hour))

	live, ok := b.Admitted(a, source.Addr())
	if !ok || live.Err() != nil {
		t.Fatal("the source of a session is not admitted")
	}
	if _, ok := b.Admitted(a, netip.MustParseAddr("2001:db8:1:1::77")); !ok {
		t.Error("another address of an IPv6 source is not admitted")
	}
	for _, no := range []struct {
		service ownline.ServiceID
		addr    string
	}{
		{other, "198.51.100.7"}, {a, "198.51.100.8"}, {a, "2001:db8:1:2::77"}, {a, "::ffff:198.51.100.7"}, {ownline.ServiceID{}, "198.51.100.7"},
	} {
		if _, ok := b.Admitted(no.service, netip.MustParseAddr(no.addr)); ok {
			t.Errorf("%s is admitted to %s", no.addr, no.service)
		}
	}
	if _, ok := b.Admitted(a, netip.Addr{}); ok {
		t.Error("nobody is admitted")
	}

	// A renewal, also one that is undone, lets nobody go.
	put(t, b, 6, second, now.Add(2*time.Hour))
	put(t, b, 7, second, now.Add(3*time.Hour))()
	if live.Err() != nil {
		t.Fatal("a renewal ended it")
	}
	// The first of two sessions ends.
	if _, err := b.End(rev(8), first.ID); err != nil || live.Err() != nil {
		t.Fatalf("the end of one of two sessions: %v, %v", err, live.Err())
	}
	b.Expire(now.Add(2 * time.Hour))
	if live.Err() == nil {
		t.Error("the end of the last session let nobody go")
	}
	if _, ok := b.Admitted(a, source.Addr()); ok {
		t.Error("admitted after the end")
	}

	// A new session is another hold; a flush and a state that lacks it end it.
	third := proxied(a, source)
	put(t, b, 9, third, now.Add(4*time.Hour))
	next, _ := b.Admitted(a, source.Addr())
	if next == nil || next.Err() != nil || live.Err() == nil {
		t.Fatal("a new session revived the old hold")
	}
	until := func(link.Session) time.Time { return now.Add(4 * time.Hour) }
	if _, _, err := b.Replace(rev(10), []link.Session{third}, until); err != nil || next.Err() != nil {
		t.Errorf("a state that has it: %v, %v", err, next.Err())
	}
	if _, _, err := b.Replace(rev(11), nil, until); err != nil || next.Err() == nil {
		t.Errorf("a state that lacks it: %v, %v", err, next.Err())
	}
	put(t, b, 12, proxied(a, source), now.Add(4*time.Hour))
	last, _ := b.Admitted(a, source.Addr())
	if b.FlushHere(); last.Err() == nil || len(b.holds) != 0 {
		t.Errorf("after a flush: %v, %d holds", last.Err(), len(b.holds))
	}
}
