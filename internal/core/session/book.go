// Package session is the book of what must be open on the router now: open, renew, end. It
// tells when it changed, and holds the rule that an old command never undoes a newer one.
package session

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// Session is one line of the book.
type Session struct {
	link.Session
	Until   time.Time       `json:"until"` // by the router's monotonic clock
	Traffic ownline.Traffic `json:"traffic"`
	// Answered is when something went back that Count saw; zero: not since anything was counted here first, which may be of
	// a run before.
	Answered time.Time `json:"-"`

	before  ownline.Traffic // came through it before the kernel's counters began anew
	counted bool            // here; else Traffic is what web has told
}

// Count takes over what the kernel counts of the session, and reports whether that is news. Counters that begin anew,
// by another driver of the firewall or after somebody has flushed the rules, are added to what came before; so what was read
// earlier must not be counted later.
func (s *Session) Count(t ownline.Traffic) bool {
	was := s.Traffic
	if !s.counted {
		// Of what web knows, a part may be what the kernel counts still. Nothing is taken twice.
		s.before = ownline.Traffic{
			UpBytes: max(was.UpBytes, t.UpBytes) - t.UpBytes, UpPackets: max(was.UpPackets, t.UpPackets) - t.UpPackets,
			DownBytes: max(was.DownBytes, t.DownBytes) - t.DownBytes, DownPackets: max(was.DownPackets, t.DownPackets) - t.DownPackets,
		}
	}
	is := s.before.Add(t)
	up, down := is.UpPackets < was.UpPackets, is.DownPackets < was.DownPackets
	switch {
	case up && !down && t.UpPackets == 0, down && !up && t.DownPackets == 0:
		return false // read while the kernel takes them away: only one is left
	case up || down:
		s.before, is = was, was.Add(t)
	}
	if s.counted && was.UpPackets > 0 && is.DownPackets > was.DownPackets {
		s.Answered = time.Now()
	}
	s.Traffic, s.counted = is, true
	return is != was
}

// ToDoorstep reports whether the session is nobody's: it leads a guest, who has another, to the doorstep.
func (s *Session) ToDoorstep() bool { return s.ServiceID == ownline.DoorstepID }

// Key names the hole of the session.
func (s Session) Key() firewall.Key {
	return firewall.Key{Source: s.Source, Transport: s.Transport, Port: s.PublicPort}
}

// Admit judges whether a session may be opened on this router, and returns it with the
// target that the kernel is to send its packets to. It is asked with the book locked, so it
// must be quick and must not call the book.
type Admit func(link.Session) (link.Session, error)

// Book is safe for concurrent use. Every change gets the next generation number; whoever
// makes the kernel follow takes what changed (Take) and tells up to which generation it is
// done, so many changes become one transaction.
type Book struct {
	admit Admit

	mu         sync.Mutex // guards the following
	sessions   map[ownline.SessionID]*Session
	byKey      map[firewall.Key]map[ownline.SessionID]*Session
	holds      map[held]*hold               // of services of kind proxy
	prefix6    int                          // bits of their IPv6 sources: one number for a site
	revs       map[ownline.SessionID]uint64 // newest command on each session since the last state
	over       map[ownline.SessionID]over   // ended here: a state that web made before it heard brings none back
	floor      link.Revision                // of the last whole state
	newest     uint64                       // newest revision of any command in the floor's epoch
	generation uint64
	dirty      map[firewall.Key]struct{}
	gone       []Session     // removed before their time since the last TakeGone
	changed    chan struct{} // holds a value when dirty is not empty
	flushNext  bool          // flushed before the first state: all that it names is over
}

type over struct {
	reason ownline.EndReason
	until  time.Time
}

// New makes an empty book.
func New(admit Admit) *Book {
	return &Book{
		admit:    admit,
		sessions: make(map[ownline.SessionID]*Session),
		byKey:    make(map[firewall.Key]map[ownline.SessionID]*Session),
		holds:    make(map[held]*hold),
		revs:     make(map[ownline.SessionID]uint64),
		over:     make(map[ownline.SessionID]over),
		dirty:    make(map[firewall.Key]struct{}),
		changed:  make(chan struct{}, 1),
	}
}

// Changed receives a value when there is something to Take.
func (b *Book) Changed() <-chan struct{} { return b.changed }

// Put opens a session, or renews the one with the same ID, until the given time. It
// returns the generation to wait for, and how to undo the change if the kernel refuses it.
func (b *Book) Put(rev link.Revision, s link.Session, until time.Time) (generation uint64, undo func(), err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.fresh(rev, s.ID); err != nil {
		return 0, nil, err
	}
	old, err := b.put(s, until)
	if err != nil {
		return 0, nil, err
	}
	b.note(rev, s.ID)
	return b.generation, func() { b.restore(s.ID, until, old) }, nil
}

// fresh refuses what is older than the whole state or than the newest command on the same
// session.
func (b *Book) fresh(rev link.Revision, id ownline.SessionID) error {
	if err := b.sinceState(rev); err != nil {
		return err
	}
	if rev.Revision < b.revs[id] {
		return fmt.Errorf("revision %d: %w", rev.Revision, link.ErrStale)
	}
	return nil
}

// sinceState refuses what does not come after the whole state, and everything before the
// first one.
func (b *Book) sinceState(rev link.Revision) error {
	switch {
	case !b.known():
		return fmt.Errorf("no whole state has come since core started: %w", link.ErrStale)
	case rev.Epoch != b.floor.Epoch:
		return fmt.Errorf("epoch %q is not that of the last state: %w", rev.Epoch, link.ErrStale)
	case rev.Revision <= b.floor.Revision:
		return fmt.Errorf("revision %d: %w", rev.Revision, link.ErrStale)
	}
	return nil
}

// known reports whether a whole state has come.
func (b *Book) known() bool { return b.floor != link.Revision{} }

func (b *Book) note(rev link.Revision, id ownline.SessionID) {
	b.revs[id] = max(b.revs[id], rev.Revision)
	b.newest = max(b.newest, rev.Revision)
}

// put returns the session as it was before, nil if there was none.
func (b *Book) put(s link.Session, until time.Time) (*Session, error) {
	if o, ended := b.over[s.ID]; ended {
		return nil, ownline.Conflict("id", "the session ended on the router: "+string(o.reason))
	}
	s, err := b.admit(s)
	if err != nil {
		return nil, err
	}
	next := &Session{Session: s, Until: until, Traffic: s.Counted}
	next.Counted = ownline.Traffic{}
	for id, other := range b.byKey[next.Key()] {
		if id != s.ID && other.Target != s.Target {
			return nil, ownline.Conflict("public_port", fmt.Sprintf("port %d/%s leads %s to %s already; choose another port",
				s.PublicPort, s.Transport, s.Source, other.Target))
		}
	}
	old := b.sessions[s.ID]
	b.hold(next) // before the old one lets go, so that a renewal cuts nothing
	if old != nil {
		next.Traffic, next.Answered, next.before, next.counted = old.Traffic, old.Answered, old.before, old.counted
		b.remove(old)
	}
	b.insert(next)
	b.release(next)
	return old, nil
}

func (b *Book) insert(s *Session) {
	b.sessions[s.ID] = s
	k := s.Key()
	if b.byKey[k] == nil {
		b.byKey[k] = make(map[ownline.SessionID]*Session, 1)
	}
	b.byKey[k][s.ID] = s
	b.hold(s)
	b.touch(k)
}

func (b *Book) remove(s *Session) {
	delete(b.sessions, s.ID)
	k := s.Key()
	delete(b.byKey[k], s.ID)
	if len(b.byKey[k]) == 0 {
		delete(b.byKey, k)
	}
	b.release(s)
	b.gone = append(b.gone, *s)
	b.touch(k)
}

func (b *Book) touch(k firewall.Key) {
	b.generation++
	b.dirty[k] = struct{}{}
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// restore undoes a put that ended at until, unless something newer happened to the session.
func (b *Book) restore(id ownline.SessionID, until time.Time, old *Session) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, ok := b.sessions[id]
	if !ok || !s.Until.Equal(until) {
		return
	}
	b.hold(s)
	b.remove(s)
	if old != nil {
		b.insert(old)
	}
	b.release(s)
}

// End closes a session. One that is not there is closed already.
func (b *Book) End(rev link.Revision, id ownline.SessionID) (generation uint64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.fresh(rev, id); err != nil {
		return 0, err
	}
	b.note(rev, id)
	if s, ok := b.sessions[id]; ok {
		b.remove(s)
	}
	return b.generation, nil
}

// FlushFor ends every session at web's command.
func (b *Book) FlushFor(rev link.Revision) (generation uint64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.sinceState(rev); err != nil {
		return 0, err
	}
	for id, s := range b.sessions {
		if b.revs[id] <= rev.Revision {
			b.note(rev, id)
			b.remove(s)
		}
	}
	b.newest = max(b.newest, rev.Revision)
	return b.generation, nil
}

// FlushHere ends every session at the router's admin's command and returns them. Web's
// next state opens none of them again. Before the first state the book does not know what
// the kernel still holds open; known is false then, and that state's sessions are all over.
func (b *Book) FlushHere() (generation uint64, flushed []Session, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	known = b.known()
	b.flushNext = !known
	for id, s := range b.sessions {
		b.over[id] = over{ownline.Flushed, s.Until}
		flushed = append(flushed, *s)
		b.remove(s)
	}
	return b.generation, flushed, known
}

// CheckState refuses the revision of a whole state that is older than what the book has.
func (b *Book) CheckState(rev link.Revision) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.checkState(rev)
}

func (b *Book) checkState(rev link.Revision) error {
	if rev.Epoch == b.floor.Epoch && rev.Revision < b.newest {
		return fmt.Errorf("revision %d, but %d is applied: %w", rev.Revision, b.newest, link.ErrStale)
	}
	return nil
}

// Replace makes the book hold exactly the given sessions. until gives each its end by the
// router's clock. The results name the sessions that can't be held, with the reason.
func (b *Book) Replace(rev link.Revision, want []link.Session, until func(link.Session) time.Time) (generation uint64, refused []link.Result, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.checkState(rev); err != nil {
		return 0, nil, err
	}
	keep := make(map[ownline.SessionID]struct{}, len(want))
	for _, s := range want {
		keep[s.ID] = struct{}{}
	}
	for id, s := range b.sessions {
		if _, ok := keep[id]; !ok {
			b.remove(s)
		}
	}
	for _, s := range want {
		if b.flushNext {
			b.over[s.ID] = over{ownline.Flushed, until(s)}
		}
		// A session of the same ID that is refused in its new form must not stay in its old one.
		if _, err := b.put(s, until(s)); err != nil {
			refused = append(refused, link.Result{ID: s.ID, Problem: link.ProblemOf(err)})
			if old, ok := b.sessions[s.ID]; ok {
				b.remove(old)
			}
		}
	}
	b.floor, b.newest, b.flushNext = rev, rev.Revision, false
	clear(b.revs)
	return b.generation, refused, nil
}

// Expire removes what ended by now and returns it; next is when the next one ends, zero if
// none does.
func (b *Book) Expire(now time.Time) (expired []Session, next time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	gone := b.gone
	for _, s := range b.sessions {
		if !s.Until.After(now) {
			expired = append(expired, *s)
			b.remove(s)
		} else if next.IsZero() || s.Until.Before(next) {
			next = s.Until
		}
	}
	b.gone = gone // the kernel has forgotten what these counted
	// Commands overtake each other by a few at most, so old numbers of sessions that are gone
	// are of no use.
	maps.DeleteFunc(b.revs, func(id ownline.SessionID, rev uint64) bool {
		_, live := b.sessions[id]
		return !live && rev+1000 < b.newest
	})
	maps.DeleteFunc(b.over, func(_ ownline.SessionID, o over) bool { return !o.until.After(now) })
	return expired, next
}

// Take returns what changed since the last Take: the forwards that must be there, and the
// keys that must not. The generation is that of the newest change in it.
func (b *Book) Take() (put []firewall.Forward, drop []firewall.Key, generation uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for k := range b.dirty {
		if f, ok := b.forward(k); ok {
			put = append(put, f)
		} else {
			drop = append(drop, k)
		}
	}
	clear(b.dirty)
	return put, drop, b.generation
}

// forward joins the sessions of a key: its hole lasts as long as the last of them.
func (b *Book) forward(k firewall.Key) (firewall.Forward, bool) {
	var f firewall.Forward
	for _, s := range b.byKey[k] {
		f.Key, f.Target = k, s.Target
		if s.Until.After(f.Until) {
			f.Until = s.Until
		}
	}
	return f, f.Target.IsValid()
}

// TakeAll is Take for the whole book.
func (b *Book) TakeAll() (all map[firewall.Key]firewall.Forward, generation uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	all = make(map[firewall.Key]firewall.Forward, len(b.byKey))
	for k := range b.byKey {
		all[k], _ = b.forward(k)
	}
	clear(b.dirty)
	return all, b.generation
}

// Count counts for every session what its key has counted, and returns the sessions
// whose counters changed. Sessions that share a key share its counters: the kernel can't
// tell them apart.
func (b *Book) Count(counters map[firewall.Key]ownline.Traffic) []link.Traffic {
	b.mu.Lock()
	defer b.mu.Unlock()
	var changed []link.Traffic
	for id, s := range b.sessions {
		if t, ok := counters[s.Key()]; ok && s.Count(t) {
			changed = append(changed, link.Traffic{ID: id, Traffic: s.Traffic})
		}
	}
	return changed
}

// TakeGone returns the sessions that were removed before their time since the last TakeGone. Who asks after Take has
// with them all whose keys the kernel is to drop, to read their counters for the last time.
func (b *Book) TakeGone() []Session {
	b.mu.Lock()
	defer b.mu.Unlock()
	gone := slices.DeleteFunc(b.gone, func(s Session) bool { return b.sessions[s.ID] != nil }) // renewed
	b.gone = nil
	return gone
}

// Ending returns the keys of the sessions that end after one time, and not after another.
func (b *Book) Ending(after, until time.Time) (keys []firewall.Key) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.sessions {
		if s.Until.After(after) && !s.Until.After(until) {
			keys = append(keys, s.Key())
		}
	}
	return keys
}

// List returns the sessions, those that end first in front.
func (b *Book) List() []Session {
	b.mu.Lock()
	defer b.mu.Unlock()
	sorted := slices.SortedFunc(maps.Values(b.sessions), func(x, y *Session) int { return x.Until.Compare(y.Until) })
	out := make([]Session, len(sorted))
	for i, s := range sorted {
		out[i] = *s
	}
	return out
}

// Lives tells of a session that was opened whether it is there still, and if not, why it ended, as far
// as that was decided here.
func (b *Book) Lives(id ownline.SessionID) (ownline.EndReason, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.sessions[id]
	return b.over[id].reason, ok
}

// Len returns how many sessions there are, how many more lead guests to the doorstep, and the newest revision that
// the book has.
func (b *Book) Len() (sessions, doorstep int, newest link.Revision) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.sessions {
		if s.ToDoorstep() {
			doorstep++
		}
	}
	return len(b.sessions) - doorstep, doorstep, link.Revision{Epoch: b.floor.Epoch, Revision: b.newest}
}
