package sites

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// knocks has the desk decide on a core's knocks, many at once but those of one device one
// after the other: a later decision on the same session must not reach core first, or core
// would tell the device of the earlier one that it was refused.
type knocks struct {
	s     *site
	slots chan struct{}

	mu      sync.Mutex // guards what follows
	waiting int
	devices map[ownline.DeviceID]*turns
}

// asked is a knock, and how the desk decides on it.
type asked struct {
	seq    uint64
	device ownline.DeviceID
	source netip.Addr
	decide func(context.Context) (*link.Verdict, []link.Session, error)
}

// turns is who comes next of a device's knocks.
type turns struct {
	turn    chan struct{} // holds one while it is somebody's
	waiting int
}

func newKnocks(s *site) *knocks {
	return &knocks{s: s, slots: make(chan struct{}, knocksAtOnce), devices: make(map[ownline.DeviceID]*turns)}
}

// start decides on a knock in the background.
func (k *knocks) start(ctx context.Context, wg *sync.WaitGroup, a asked) {
	t := k.enter(a.device)
	if t == nil {
		k.s.log.Warn("too many knocks at once: one was dropped", logging.Device, a.device)
		return
	}
	wg.Go(func() {
		defer k.leave(a.device, t)
		for _, wait := range []chan struct{}{t.turn, k.slots} {
			select {
			case wait <- struct{}{}:
			case <-ctx.Done():
				return
			}
			defer func() { <-wait }()
		}
		if err := k.s.knock(ctx, a); err != nil && ctx.Err() == nil {
			k.s.log.Warn("a knock was not carried out", logging.Device, a.device, logging.Source, a.source, logging.Err, err)
		}
	})
}

// enter queues a knock, or returns nil when there are too many.
func (k *knocks) enter(d ownline.DeviceID) *turns {
	k.mu.Lock()
	defer k.mu.Unlock()
	t := k.devices[d]
	if t == nil {
		t = &turns{turn: make(chan struct{}, 1)}
	}
	if k.waiting >= knocksWaiting || t.waiting >= deviceWaiting {
		return nil
	}
	k.devices[d] = t
	k.waiting++
	t.waiting++
	return t
}

func (k *knocks) leave(d ownline.DeviceID, t *turns) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.waiting--
	if t.waiting--; t.waiting == 0 {
		delete(k.devices, d)
	}
}

// staleTries is how often a verdict gets a new revision before the whole state has to do.
const staleTries = 5

// knock has a knock decided on, and the decision applied and answered by core.
func (s *site) knock(ctx context.Context, a asked) error {
	v, later, err := a.decide(ctx)
	if err != nil {
		return err
	}
	if len(v.Sessions)+len(later) == 0 {
		// Nothing changes, so no revision can be stale.
		v.Stamp = s.stamp(v.Revision.Revision)
		_, err = s.verdict(ctx, a.seq, *v)
		return err
	}
	results, err := s.carryOut(ctx, a.seq, *v, later)
	for try := 0; errors.Is(err, link.ErrStale) && try < staleTries; try++ {
		// A whole state went by between the decision and this: the decision holds, but its
		// revision does not count any more.
		if *v, err = s.desk.Again(ctx, s.id, *v); err != nil {
			return err
		}
		results, err = s.carryOut(ctx, a.seq, *v, nil)
	}
	if err != nil {
		return err
	}
	asked := make([]ownline.SessionID, len(v.Sessions))
	for i, l := range v.Sessions {
		asked[i] = l.ID
	}
	return s.desk.Settle(ctx, s.id, asked, results)
}

// carryOut sends a verdict, and the sessions that come with it. ErrStale: core has newer
// wishes than these.
func (s *site) carryOut(ctx context.Context, seq uint64, v link.Verdict, later []link.Session) (results []link.Result, err error) {
	rev := v.Revision.Revision
	end := s.begin(rev)
	err = s.command(ctx, rev, func(ctx context.Context) error {
		v.Stamp = s.stamp(rev)
		results, err = s.verdict(ctx, seq, v)
		if err == nil && slices.ContainsFunc(results, func(r link.Result) bool { return errors.Is(r.Problem.Err(), link.ErrStale) }) {
			err = link.ErrStale
		}
		return err
	})
	if err != nil {
		end(false)
		return nil, err
	}
	if len(later) == 0 {
		end(true)
		return results, nil
	}
	end(s.command(ctx, rev, func(ctx context.Context) error {
		for _, l := range later {
			if err := s.client.PutSession(ctx, link.Put{Stamp: s.stamp(rev), Session: l}); err != nil {
				return err
			}
		}
		return nil
	}) == nil)
	return results, nil
}

// verdict sends a verdict. A core that is too old to be told why something was refused is told the rest.
func (s *site) verdict(ctx context.Context, seq uint64, v link.Verdict) ([]link.Result, error) {
	results, err := s.client.Verdict(ctx, seq, v)
	switch {
	case !errors.Is(err, ownline.ErrInvalid):
	case v.Ignored != "":
		return nil, nil // it learns so by hearing nothing
	case len(v.Refused) > 0:
		v.Refused = nil
		return s.client.Verdict(ctx, seq, v)
	}
	return results, err
}
