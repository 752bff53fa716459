package access

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// The kinds of event.
const (
	EventSession    = "session"
	EventService    = "service"
	EventSite       = "site"
	EventDevice     = "device"
	EventGrant      = "grant"
	EventUser       = "user"
	EventInvitation = "invitation"
	EventChannel    = "channel" // of notifications; only admins see it
	EventLogin      = "login"   // a user has signed in, by a browser or for a token
	EventRefusal    = "refusal" // knocks of a user's device were refused
)

// Event tells that a resource was made, changed or removed.
type Event struct {
	Seq      uint64         // grows with every event; another start of web begins far above
	Kind     string         // one of the kinds above
	Removed  bool           // the resource is gone
	Owner    ownline.UserID // whose it is; zero: nobody's
	Resource any            // ownline.SessionInfo, InvitationInfo, Service, SiteInfo, Device, Grant, User, ChannelInfo, LoginAttempt or RefusalInfo

	readers []ownline.UserID // who could see it before it was removed
}

// ErrMissed says that events were missed: whoever reads must fetch everything again and
// read on from there.
var ErrMissed = errors.New("events missed")

// hubSize is how many events are remembered for readers that come back or are slow.
const hubSize = 4096

// hub numbers the events and remembers the last of them. Readers come and take; nobody is
// waited for.
type hub struct {
	mu     sync.Mutex    // guards what follows
	ring   []Event       // ring[seq%hubSize]
	first  uint64        // number of the oldest event that is remembered
	next   uint64        // number of the event to come
	change chan struct{} // closed at the next event
}

// newHub numbers events from the time it is made, in microseconds: more than any hub
// before it can have reached.
func newHub(now time.Time) *hub {
	start := uint64(now.UnixMicro())
	return &hub{ring: make([]Event, hubSize), first: start, next: start, change: make(chan struct{})}
}

func (h *hub) publish(evs ...Event) {
	if len(evs) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ev := range evs {
		ev.Seq = h.next
		h.ring[h.next%hubSize] = ev
		h.next++
		if h.next-h.first > hubSize {
			h.first++
		}
	}
	close(h.change)
	h.change = make(chan struct{})
}

// forget has every reader miss something: they must fetch everything again.
func (h *hub) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next++
	h.first = h.next
	close(h.change)
	h.change = make(chan struct{})
}

// after returns the event that follows the one with that number, or a channel that is
// closed once there is one. missed: it is not remembered any more, or never was.
func (h *hub) after(seq uint64) (ev Event, wait <-chan struct{}, missed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case seq+1 == h.next:
		return Event{}, h.change, false
	case seq+1 < h.first || seq+1 > h.next:
		return Event{}, nil, true
	}
	return h.ring[(seq+1)%hubSize], nil, false
}

// last returns the number of the newest event, and a channel that is closed at the next.
func (h *hub) last() (uint64, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.next - 1, h.change
}

// SignedIn tells a user, and admins, that somebody has signed in as them.
func (a *Access) SignedIn(t ownline.LoginAttempt) {
	a.hub.publish(Event{Kind: EventLogin, Owner: t.User, Resource: t})
}

// Stream is one reader's place in the events. Not safe for concurrent use.
type Stream struct {
	a     *Access
	actor Actor
	at    uint64 // number of the last event that was read
}

// Subscribe returns the events after the one numbered after that the actor may see; 0
// means those from now on.
func (a *Access) Subscribe(actor Actor, after uint64) *Stream {
	if after == 0 {
		after, _ = a.hub.last()
	}
	return &Stream{a: a, actor: actor, at: after}
}

// Last returns the number of the newest event that was read or passed over: the place from
// which another Subscribe goes on.
func (s *Stream) Last() uint64 { return s.at }

// Next waits for the next event that the actor may see. What they may see is judged anew
// for every event, by the user's present role and grants. ErrMissed is returned once when
// the reader was too slow or came from another start of web; reading on works then.
// ErrForbidden or ErrUnauthorized end the stream: the user is disabled or gone.
func (s *Stream) Next(ctx context.Context) (Event, error) {
	for {
		ev, wait, missed := s.a.hub.after(s.at)
		switch {
		case missed:
			s.at, _ = s.a.hub.last()
			return Event{}, ErrMissed
		case wait != nil:
			select {
			case <-wait:
			case <-ctx.Done():
				return Event{}, ctx.Err()
			}
			continue
		}
		ok, err := s.maySee(ctx, &ev)
		if err != nil {
			return Event{}, err // also that ctx is over: the next call reads the event again
		}
		s.at = ev.Seq
		if ok {
			return ev, nil
		}
	}
}

// maySee judges an event by the present rights of the stream's user, and takes out of it
// what is not theirs to know.
func (s *Stream) maySee(ctx context.Context, ev *Event) (ok bool, err error) {
	if !s.actor.User.ID.IsZero() {
		err := s.a.store.Read(ctx, func(tx Tx) (err error) {
			s.actor.User, err = tx.User(s.actor.User.ID)
			return err
		})
		if errors.Is(err, ownline.ErrNotFound) {
			return false, ownline.Forbidden("", "the user is gone")
		} else if err != nil {
			return false, err
		}
	}
	if err := s.actor.May(ownline.ScopeRead); err != nil {
		return false, err
	}
	me := s.actor.User.ID
	if s.actor.Oversees() || (ev.Owner == me && !me.IsZero()) || slices.Contains(ev.readers, me) {
		return true, nil
	}
	err = s.a.store.Read(ctx, func(tx Tx) error {
		switch r := ev.Resource.(type) {
		case ownline.Service:
			g, err := tx.GrantOf(me, r.ID)
			ok = r.Everybody || !g.ID.IsZero()
			return err
		case ownline.SiteInfo:
			mine, err := tx.SitesOf(me)
			ok = slices.ContainsFunc(mine, func(m ownline.Site) bool { return m.ID == r.ID })
			ev.Resource = publicSite(r)
			return err
		}
		return nil
	})
	return ok, err
}
