package session

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

var (
	now    = time.Now()
	source = netip.MustParsePrefix("198.51.100.7/32")
	nas    = netip.MustParseAddrPort("192.168.7.10:22")
	camera = netip.MustParseAddrPort("192.168.7.11:80")
)

func admitAll(s link.Session) (link.Session, error) { return s, nil }

func rev(n uint64) link.Revision { return link.Revision{Epoch: "e", Revision: n} }

func sess(port uint16, target netip.AddrPort) link.Session {
	return link.Session{
		ID: ownline.NewID[ownline.Session](), Kind: ownline.Forward, Source: source, Transport: ownline.TCP,
		PublicPort: port, Target: target,
	}
}

// started returns a book that holds an empty state of revision 1.
func started(t *testing.T) *Book {
	t.Helper()
	b := New(admitAll)
	if _, refused, err := b.Replace(rev(1), nil, nil); err != nil || refused != nil {
		t.Fatalf("Replace = %v, %v", refused, err)
	}
	b.Take()
	return b
}

func put(t *testing.T, b *Book, n uint64, s link.Session, until time.Time) func() {
	t.Helper()
	_, undo, err := b.Put(rev(n), s, until)
	if err != nil {
		t.Fatalf("Put revision %d = %v", n, err)
	}
	return undo
}

func TestSharedKey(t *testing.T) {
	b := started(t)
	a, same, other := sess(20000, nas), sess(20000, nas), sess(20000, camera)
	put(t, b, 2, a, now.Add(time.Minute))
	put(t, b, 3, same, now.Add(time.Hour))
	if _, _, err := b.Put(rev(4), other, now.Add(time.Hour)); !errors.Is(err, ownline.ErrConflict) {
		t.Errorf("another target behind one key: %v, want ErrConflict", err)
	}
	all, _ := b.TakeAll()
	key := firewall.Key{Source: source, Transport: ownline.TCP, Port: 20000}
	if f := all[key]; len(all) != 1 || f.Target != nas || !f.Until.Equal(now.Add(time.Hour)) {
		t.Errorf("forwards = %v; want one, that lasts as long as the last session", all)
	}
	if _, err := b.End(rev(5), same.ID); err != nil {
		t.Fatal(err)
	}
	if puts, drops, _ := b.Take(); len(puts) != 1 || !puts[0].Until.Equal(now.Add(time.Minute)) || len(drops) != 0 {
		t.Errorf("after the longer one ended: put %v, drop %v; want the shorter one's end", puts, drops)
	}
	if _, err := b.End(rev(6), a.ID); err != nil {
		t.Fatal(err)
	}
	if puts, drops, _ := b.Take(); len(puts) != 0 || len(drops) != 1 || drops[0] != key {
		t.Errorf("after both ended: put %v, drop %v; want the key dropped", puts, drops)
	}
}

// Invariant 5: nothing left over, nothing twice, whatever overtakes what.
func TestStaleCommands(t *testing.T) {
	s := sess(20000, nas)
	until := now.Add(time.Hour)
	t.Run("an open that its end has overtaken", func(t *testing.T) {
		b := started(t)
		if _, err := b.End(rev(3), s.ID); err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.Put(rev(2), s, until); !errors.Is(err, link.ErrStale) {
			t.Errorf("Put = %v, want ErrStale", err)
		}
	})
	t.Run("another session's newer command is in nobody's way", func(t *testing.T) {
		b := started(t)
		put(t, b, 3, sess(20001, nas), until)
		put(t, b, 2, s, until)
	})
	t.Run("a command that the whole state holds already", func(t *testing.T) {
		b := started(t)
		if _, _, err := b.Put(rev(1), s, until); !errors.Is(err, link.ErrStale) {
			t.Errorf("Put = %v, want ErrStale", err)
		}
	})
	t.Run("a whole state that a command has overtaken", func(t *testing.T) {
		b := started(t)
		put(t, b, 3, s, until)
		if _, _, err := b.Replace(rev(2), nil, nil); !errors.Is(err, link.ErrStale) {
			t.Errorf("Replace = %v, want ErrStale", err)
		}
		if n, _, r := b.Len(); n != 1 || r != rev(3) {
			t.Errorf("the book holds %d sessions of %v; want it unchanged", n, r)
		}
	})
	t.Run("an older epoch's command", func(t *testing.T) {
		b := started(t)
		if _, _, err := b.Put(link.Revision{Epoch: "older", Revision: 99}, s, until); !errors.Is(err, link.ErrStale) {
			t.Errorf("Put = %v, want ErrStale", err)
		}
	})
	t.Run("a command before the first whole state", func(t *testing.T) {
		b := New(admitAll)
		nameless := link.Revision{Revision: 1} // of the epoch that the book is in, so to say
		_, _, opened := b.Put(nameless, s, until)
		_, ended := b.End(nameless, s.ID)
		_, flushed := b.FlushFor(nameless)
		for what, err := range map[string]error{"Put": opened, "End": ended, "FlushFor": flushed} {
			if !errors.Is(err, link.ErrStale) {
				t.Errorf("%s = %v, want ErrStale", what, err)
			}
		}
	})
	t.Run("a new epoch begins low", func(t *testing.T) {
		b := started(t)
		put(t, b, 50, s, until)
		if _, _, err := b.Replace(link.Revision{Epoch: "new", Revision: 1}, nil, nil); err != nil {
			t.Errorf("Replace = %v", err)
		}
		if n, _, _ := b.Len(); n != 0 {
			t.Errorf("%d sessions survived a state that has none", n)
		}
	})
}

// What leads a guest to the doorstep is not counted with what is open.
func TestDoorstepIsCountedApart(t *testing.T) {
	b := started(t)
	s := sess(20000, nas)
	guest := sess(20001, nas)
	guest.ID, guest.ServiceID = ownline.DoorstepSession(s.ID), ownline.DoorstepID
	put(t, b, 2, s, now.Add(time.Minute))
	put(t, b, 3, guest, now.Add(time.Minute))
	if sessions, doorstep, _ := b.Len(); sessions != 1 || doorstep != 1 {
		t.Errorf("the book has %d sessions, and %d for the doorstep", sessions, doorstep)
	}
}

// Invariant 6: what could not be applied is not reported as open.
func TestUndo(t *testing.T) {
	b := started(t)
	s := sess(20000, nas)
	undo := put(t, b, 2, s, now.Add(time.Minute))
	undo()
	if n, _, _ := b.Len(); n != 0 {
		t.Error("an undone open is still there")
	}
	put(t, b, 3, s, now.Add(time.Minute))
	undo = put(t, b, 4, s, now.Add(time.Hour))
	undo()
	if l := b.List(); len(l) != 1 || !l[0].Until.Equal(now.Add(time.Minute)) {
		t.Errorf("after an undone renewal: %v; want the old end", l)
	}
	undo = put(t, b, 5, s, now.Add(time.Hour))
	put(t, b, 6, s, now.Add(2*time.Hour))
	undo()
	if l := b.List(); len(l) != 1 || !l[0].Until.Equal(now.Add(2*time.Hour)) {
		t.Errorf("an undo took back what is newer: %v", l)
	}
}

func TestFlushedHereStaysEnded(t *testing.T) {
	b := started(t)
	s := sess(20000, nas)
	put(t, b, 2, s, now.Add(time.Minute))
	if _, flushed, known := b.FlushHere(); len(flushed) != 1 || !known {
		t.Fatalf("flushed %v, known %v", flushed, known)
	}
	_, refused, err := b.Replace(rev(2), []link.Session{s}, func(link.Session) time.Time { return now.Add(time.Minute) })
	if err != nil || len(refused) != 1 || refused[0].ID != s.ID {
		t.Errorf("Replace = %v, %v; want the flushed session refused", refused, err)
	}
	if n, _, _ := b.Len(); n != 0 {
		t.Error("web's state brought a flushed session back")
	}
	b.Expire(now.Add(time.Hour))
	if len(b.over) != 0 {
		t.Error("flushed sessions are remembered for ever")
	}
}

// A core that was started again, and has not heard web yet, is flushed.
func TestFlushBeforeTheFirstState(t *testing.T) {
	b := New(admitAll)
	if _, _, known := b.FlushHere(); known {
		t.Error("a book without a state says that it knows what is open")
	}
	until := func(link.Session) time.Time { return now.Add(time.Minute) }
	s := sess(20000, nas)
	_, refused, err := b.Replace(rev(7), []link.Session{s}, until)
	if n, _, _ := b.Len(); err != nil || len(refused) != 1 || n != 0 {
		t.Errorf("Replace = %v, %v and holds %d; want nothing opened again", refused, err, n)
	}
	later := sess(20001, nas)
	put(t, b, 8, later, now.Add(time.Minute))
	if _, refused, err := b.Replace(rev(8), []link.Session{later}, until); err != nil || len(refused) != 0 {
		t.Errorf("a session opened since: %v, %v", refused, err)
	}
}

func TestReplaceRefusesBadOnes(t *testing.T) {
	bad := sess(22, nas)
	b := New(func(s link.Session) (link.Session, error) {
		if s.PublicPort == 22 {
			return s, ownline.Conflict("public_port", "reserved")
		}
		return s, nil
	})
	good := sess(20000, nas)
	_, refused, err := b.Replace(rev(1), []link.Session{bad, good}, func(link.Session) time.Time { return now.Add(time.Minute) })
	if err != nil || len(refused) != 1 || refused[0].ID != bad.ID || refused[0].Problem.Field != "public_port" {
		t.Errorf("Replace = %+v, %v; want one refused, naming public_port", refused, err)
	}
	if l := b.List(); len(l) != 1 || l[0].ID != good.ID {
		t.Errorf("the book holds %v", l)
	}
}

func TestExpire(t *testing.T) {
	b := started(t)
	put(t, b, 2, sess(20000, nas), now.Add(time.Minute))
	late := sess(20001, nas)
	put(t, b, 3, late, now.Add(time.Hour))
	expired, next := b.Expire(now.Add(time.Minute - 1))
	if len(expired) != 0 || !next.Equal(now.Add(time.Minute)) {
		t.Errorf("a nanosecond early: %v, next %v", expired, next)
	}
	expired, next = b.Expire(now.Add(time.Minute))
	if len(expired) != 1 || expired[0].PublicPort != 20000 || !next.Equal(now.Add(time.Hour)) {
		t.Errorf("on time: %v, next %v", expired, next)
	}
}

func TestCount(t *testing.T) {
	b := started(t)
	s := sess(20000, nas)
	put(t, b, 2, s, now.Add(time.Minute))
	seen := map[firewall.Key]ownline.Traffic{{Source: source, Transport: ownline.TCP, Port: 20000}: {UpBytes: 7}}
	if got := b.Count(seen); len(got) != 1 || got[0].ID != s.ID || got[0].UpBytes != 7 {
		t.Errorf("Count = %v", got)
	}
	if got := b.Count(seen); got != nil {
		t.Errorf("Count of the same = %v, want nothing", got)
	}
	// What was first counted may have come in a run before, and what comes without an answer is none.
	answered := func(up, down uint64) time.Time {
		b.Count(map[firewall.Key]ownline.Traffic{{Source: source, Transport: ownline.TCP, Port: 20000}: {UpBytes: 7, UpPackets: up, DownPackets: down}})
		return b.List()[0].Answered
	}
	for _, early := range [][2]uint64{{5, 5}, {6, 5}} {
		if got := answered(early[0], early[1]); !got.IsZero() {
			t.Errorf("with %d packets up and %d down, the last answer was at %v", early[0], early[1], got)
		}
	}
	at := answered(7, 6)
	if at.IsZero() {
		t.Error("nobody knows when it was answered")
	}
	if got := answered(8, 6); got != at {
		t.Errorf("with none more, it was answered at %v, not %v", got, at)
	}
	put(t, b, 3, s, now.Add(time.Hour))
	if l := b.List(); l[0].Traffic.UpBytes != 7 || l[0].Answered != at {
		t.Error("a renewal lost the counters")
	}
}

// What came through a session never gets less, whatever becomes of the kernel's counters and of core.
func TestCountersThatBeginAnew(t *testing.T) {
	traffic := func(up, down uint64) ownline.Traffic {
		return ownline.Traffic{UpBytes: 100 * up, UpPackets: up, DownBytes: 100 * down, DownPackets: down}
	}
	b := started(t)
	s := sess(20000, nas)
	s.Counted = traffic(10, 20) // core was started anew
	put(t, b, 2, s, now.Add(time.Minute))
	for i, step := range []struct {
		what     string
		is, want ownline.Traffic
	}{
		{"core is started anew, with the same driver", traffic(11, 21), traffic(11, 21)},
		{"only one way is left", traffic(0, 21), traffic(11, 21)},
		{"the kernel begins anew", traffic(0, 0), traffic(11, 21)},
		{"it goes on", traffic(1, 2), traffic(12, 23)},
		{"more has come by one way than ever before", traffic(2, 500), traffic(13, 521)},
		{"it begins anew, and as much has come by one way meanwhile", traffic(1, 600), traffic(14, 1121)},
	} {
		b.Count(map[firewall.Key]ownline.Traffic{{Source: source, Transport: ownline.TCP, Port: 20000}: step.is})
		l := b.List()
		if l[0].Traffic != step.want || l[0].Counted != (ownline.Traffic{}) {
			t.Errorf("%s: %+v, want %+v", step.what, l[0].Traffic, step.want)
		}
		if answered := !l[0].Answered.IsZero(); answered != (i > 2) { // what came between web's word and the first count is of a run before
			t.Errorf("%s: was something answered here? %v", step.what, answered)
		}
	}
	s.Counted = traffic(3, 3) // which web has heard long ago
	put(t, b, 3, s, now.Add(time.Hour))
	was := b.List()[0]
	if was.Traffic != traffic(14, 1121) {
		t.Errorf("renewed: %+v", was.Traffic)
	}
	b.Count(map[firewall.Key]ownline.Traffic{was.Key(): traffic(2, 601)})
	if l := b.List(); l[0].Answered.Equal(was.Answered) {
		t.Error("what is renewed is taken for one that was not counted before")
	}
}

// After another driver the kernel counts but a part of what web knows: a core that is started anew, again and again,
// takes none of it twice.
func TestCountersOfRunsBefore(t *testing.T) {
	traffic := func(up, down uint64) ownline.Traffic {
		return ownline.Traffic{UpBytes: 100 * up, UpPackets: up, DownBytes: 100 * down, DownPackets: down}
	}
	known := traffic(10, 20)
	for range 3 {
		b := started(t)
		s := sess(20000, nas)
		s.Counted = known
		put(t, b, 2, s, now.Add(time.Minute))
		for _, step := range [][2]ownline.Traffic{{traffic(4, 5), traffic(10, 20)}, {traffic(5, 6), traffic(11, 21)}} {
			b.Count(map[firewall.Key]ownline.Traffic{{Source: source, Transport: ownline.TCP, Port: 20000}: step[0]})
			if got := b.List()[0].Traffic; got != step[1] {
				t.Fatalf("the kernel counts %+v: %+v, want %+v", step[0], got, step[1])
			}
		}
	}
}
