package portmap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// How the Keeper paces itself.
const (
	lookEvery  = 10 * time.Second // whether the router has started anew
	retryEvery = 5 * time.Second  // after it did not answer
	renewEvery = 5 * time.Minute  // should the router have lost a port unseen
	permanent  = time.Hour        // lease of what is open as long as core runs
	renewLeast = 4 * time.Second  // between renewals (RFC 6887, section 11.2.1)
	patience   = time.Second      // of whoever waits for a port
	goodbye    = 2 * time.Second  // for giving back what is open as long as core runs
)

// Config is what a Keeper goes by.
type Config struct {
	Protocol string            // ownline.AutoPorts and so on
	Router   func() netip.Addr // in front, of IPv4; zero: there is none
	Want     func() []Opening  // everything that is to be open now
	Secret   []byte            // of this core, kept over restarts
	Logger   *slog.Logger
}

// Keeper has the router in front lead here what is wanted, and nothing else of ours. Run it; the
// other methods are safe for concurrent use.
type Keeper struct {
	cfg  Config
	find finder
	wake chan struct{}

	// Of Run alone.
	router   netip.Addr
	protocol protocol // nil: none answers
	held     map[key]*hold
	denied   map[key]denial
	lookAt   time.Time // next; of a router that did not answer, the next try

	mu     sync.Mutex // guards the following
	status link.Ports
	ports  map[key]FrontPort // not changed once it is here
	asked  uint64            // rounds that were asked for
	done   uint64            // of those, answered by a round that began later
	turned chan struct{}     // closed after every round
}

// hold is a port that the router leads here.
type hold struct {
	Opening
	narrow bool
	until  time.Time // of the lease
	renew  time.Time
	lost   bool // the router may have forgotten it
}

// denial is a no. It is asked again at every look.
type denial struct {
	Opening
	err error
}

// New makes a Keeper.
func New(cfg Config) *Keeper {
	return &Keeper{
		cfg: cfg, find: find, wake: make(chan struct{}, 1), held: make(map[key]*hold), denied: make(map[key]denial),
		turned: make(chan struct{}), status: link.Ports{Open: cfg.Protocol},
	}
}

// Wake says that something else may be wanted. It does not wait.
func (k *Keeper) Wake() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Wait is Wake, and returns once the router was asked for all that is wanted now; after a moment
// in any case, and at once while no router answers.
func (k *Keeper) Wait(ctx context.Context) {
	k.mu.Lock()
	k.asked++
	mine, turned, answers := k.asked, k.turned, k.status.Protocol != ""
	k.mu.Unlock()
	k.Wake()
	if !answers {
		return
	}
	enough := time.NewTimer(patience)
	defer enough.Stop()
	for {
		select {
		case <-turned:
		case <-enough.C:
			return
		case <-ctx.Done():
			return
		}
		k.mu.Lock()
		done := k.done >= mine
		turned = k.turned
		k.mu.Unlock()
		if done {
			return
		}
	}
}

// FrontPort tells how the router in front is to one public port.
type FrontPort struct {
	Open  bool         `json:"open"`
	For   []netip.Addr `json:"for,omitempty"`   // whom alone it was told to let through; none: it lets everybody
	Until time.Time    `json:"until,omitzero"`  // when it shuts the port, unless that is renewed
	Error string       `json:"error,omitempty"` // why it is not open
}

// Status tells how it goes.
func (k *Keeper) Status() link.Ports {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.status
}

// Port tells how the router is to one port; false: it was not asked for it, or is not yet.
func (k *Keeper) Port(transport ownline.Transport, port uint16) (FrontPort, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, ok := k.ports[key{transport, port}]
	return p, ok
}

// Run works until ctx ends. Ports of sessions stay until these end, as they outlive core; the
// others are given back.
func (k *Keeper) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			k.leave(context.WithoutCancel(ctx))
			return nil
		case <-k.wake:
		case <-timer.C:
		}
		timer.Reset(time.Until(k.turn(ctx)))
	}
}

// leave gives back what is open as long as core runs.
func (k *Keeper) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, goodbye)
	defer cancel()
	for at, h := range k.held {
		if h.Until.IsZero() && k.protocol != nil && k.protocol.shut(ctx, at) != nil {
			return // its lease ends it
		}
	}
}

// turn is a round, and returns when the next is due.
func (k *Keeper) turn(ctx context.Context) time.Time {
	k.mu.Lock()
	serving := k.asked
	k.mu.Unlock()
	err := k.round(ctx)
	if ctx.Err() == nil {
		k.tell(err, serving)
	}
	next := k.lookAt
	if k.protocol == nil {
		return next
	}
	for _, h := range k.held {
		if h.renew.Before(next) {
			next = h.renew
		}
	}
	return next
}

// round makes the router follow. Its error says that no router does.
func (k *Keeper) round(ctx context.Context) error {
	now := time.Now()
	if router := k.cfg.Router(); router != k.router {
		k.router, k.protocol, k.lookAt = router, nil, now
		clear(k.held) // another router knows nothing of them, and this one is out of reach
	}
	due := !now.Before(k.lookAt)
	if k.protocol == nil && !due {
		return errSilent // as was said at the last try
	}
	if due {
		k.lookAt = now.Add(lookEvery)
		clear(k.denied)
		if err := k.look(ctx); err != nil {
			return k.silent(ctx, err)
		}
	}
	want := merge(k.cfg.Want())
	maps.DeleteFunc(want, func(_ key, o *Opening) bool { return !o.Until.IsZero() && !now.Before(o.Until) })
	for at := range k.held {
		if _, ok := want[at]; !ok {
			err := k.protocol.shut(ctx, at)
			if err != nil && !refused(err) {
				return k.silent(ctx, err)
			}
			if err != nil {
				k.cfg.Logger.Warn("the router in front does not take a port back; it is shut when its lease ends", "port", at, logging.Err, err)
			}
			delete(k.held, at)
			k.cfg.Logger.Info("port of the router in front given back", "port", at)
		}
	}
	maps.DeleteFunc(k.denied, func(at key, d denial) bool { return want[at] == nil || !same(want[at], &d.Opening) })
	for at, o := range want {
		if err := k.follow(ctx, at, o); err != nil {
			return k.silent(ctx, err)
		}
	}
	return nil
}

// look finds the router's protocol, or asks the router how it is.
func (k *Keeper) look(ctx context.Context) error {
	if !k.router.IsValid() {
		return errors.New("there is no IPv4 gateway to ask")
	}
	if k.protocol == nil {
		name, p, err := k.find(ctx, k.cfg.Protocol, k.router, k.cfg.Secret)
		if err != nil {
			return err
		}
		k.protocol = p
		k.forgotten()
		k.mu.Lock()
		k.status.Protocol = name
		k.mu.Unlock()
		k.cfg.Logger.Info("the router in front opens ports", "router", k.router, "protocol", name)
		return nil
	}
	lost, err := k.protocol.look(ctx, slices.Collect(maps.Keys(k.held)))
	if err != nil {
		return fmt.Errorf("the router in front, %s, does not answer any more: %w", k.router, plain(err))
	}
	if lost {
		k.cfg.Logger.Info("the router in front has forgotten what it was asked for; asking again", "router", k.router)
		k.forgotten()
	}
	return nil
}

func (k *Keeper) forgotten() {
	for _, h := range k.held {
		h.lost = true
	}
}

// silent notes that the router does not answer, unless that is because core ends.
func (k *Keeper) silent(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	k.protocol = nil
	k.lookAt = time.Now().Add(retryEvery)
	return err
}

// follow opens or renews a port if that is due. A refusal is noted; another error is returned.
func (k *Keeper) follow(ctx context.Context, at key, o *Opening) error {
	now := time.Now()
	lease := permanent
	if !o.Until.IsZero() {
		lease = o.Until.Sub(now).Truncate(time.Second) // never past the end
	}
	h := k.held[at]
	if h != nil && !h.lost && same(&h.Opening, o) && now.Before(h.renew) {
		return nil
	}
	if lease <= 0 { // its last moment
		if h != nil {
			h.renew = now.Add(renewLeast)
		}
		return nil
	}
	if _, no := k.denied[at]; no {
		return nil
	}
	g, err := k.protocol.open(ctx, o, lease)
	if refused(err) {
		delete(k.held, at)
		k.denied[at] = denial{*o, err}
		return nil
	}
	if err != nil {
		return err
	}
	k.held[at] = &hold{Opening: *o, narrow: g.narrow, until: now.Add(g.lease), renew: now.Add(min(max(g.lease/2, renewLeast), renewEvery))}
	if h == nil {
		k.cfg.Logger.Info("port of the router in front opened", "port", at, "for", g.lease, "told_source", g.narrow)
	}
	return nil
}

// tell publishes what a round came to.
func (k *Keeper) tell(err error, serving uint64) {
	s := link.Ports{Open: k.cfg.Protocol, Router: k.router, Opened: len(k.held)}
	ports := make(map[key]FrontPort, len(k.held)+len(k.denied))
	for at, h := range k.held {
		p := FrontPort{Open: true, Until: h.until.Round(0)}
		if h.narrow {
			s.Narrow++
			p.For = h.Sources
		}
		ports[at] = p
	}
	for at, d := range k.denied {
		s.Refused = append(s.Refused, at.String())
		if text := at.String() + ": " + d.err.Error(); s.Error == "" || text < s.Error { // always the same of several
			s.Error = text
		}
		ports[at] = FrontPort{Error: d.err.Error()}
	}
	slices.Sort(s.Refused)
	k.mu.Lock()
	defer k.mu.Unlock()
	was := k.status
	if k.protocol != nil {
		s.Protocol, s.External = was.Protocol, k.protocol.external()
	} else if s.Error = err.Error(); err == errSilent && was.Error != "" {
		s.Error = was.Error // what the last try said
	}
	s.OK = s.Error == ""
	k.status, k.ports, k.done = s, ports, serving
	close(k.turned)
	k.turned = make(chan struct{})
	// Of several that are refused, another may be told of as the first, and that says nothing new.
	if s.OK != was.OK || k.protocol == nil && s.Error != was.Error || len(s.Refused) > len(was.Refused) {
		if s.OK {
			k.cfg.Logger.Info("the router in front has opened what is wanted", "router", k.router, "protocol", s.Protocol)
		} else {
			k.cfg.Logger.Warn("the router in front does not open what is wanted, so who comes by it does not get here", "router", k.router, "protocol", s.Protocol, logging.Err, s.Error)
		}
	}
}

// merge joins what is wanted of the same port: it is open to all of them, until the last goes.
func merge(all []Opening) map[key]*Opening {
	out := make(map[key]*Opening, len(all))
	for i := range all {
		o := all[i]
		have := out[o.key()]
		if have == nil {
			o.Sources = slices.Clone(o.Sources)
			out[o.key()] = &o
			continue
		}
		if len(have.Sources) == 0 || len(o.Sources) == 0 {
			have.Sources = nil
		} else {
			have.Sources = append(have.Sources, o.Sources...)
		}
		if have.Until.IsZero() || o.Until.IsZero() {
			have.Until = time.Time{}
		} else if o.Until.After(have.Until) {
			have.Until = o.Until
		}
	}
	for _, o := range out {
		slices.SortFunc(o.Sources, netip.Addr.Compare)
		o.Sources = slices.Compact(o.Sources)
	}
	return out
}

// same reports whether two wishes are one. Ends a moment apart are: a whole state tells them anew.
func same(a, b *Opening) bool {
	return slices.Equal(a.Sources, b.Sources) && a.Until.IsZero() == b.Until.IsZero() && a.Until.Sub(b.Until).Abs() < time.Second
}
