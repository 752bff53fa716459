// Package coretest is a core for tests: a small working model of what a router's core does
// with web's commands, served over a real link on loopback. It opens no ports.
package coretest

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// Core is the model. Its methods for tests are safe for concurrent use, as are those of
// link.Commands.
type Core struct {
	mu        sync.Mutex // guards what follows
	before    func(op string) error
	after     func(op string) error
	trusted   link.Pin
	next      link.Pin // of web, announced
	token     string
	epoch     string
	applied   uint64 // newest revision of any command
	state     uint64 // revision of the last whole state
	site      ownline.SiteID
	sessions  map[ownline.SessionID]link.Session
	revisions map[ownline.SessionID]uint64 // also of sessions that ended
	devices   map[ownline.DeviceID]link.Device
	services  []link.Service
	passes    []link.Pass
	proxy     link.Proxy
	reserved  []uint16
	networks  []netip.Prefix
	dropped   map[string]uint64
	lacks     string
	clockless bool
	readers   map[chan link.Event]struct{}
	seq       uint64
	pending   map[uint64]chan Answer
	ignored   []string
	counts    map[string]int
	changed   chan struct{}
	sign      func(csr []byte) (link.Certificate, error) // nil: there is nobody
}

// Answer is what a device that knocked would be told.
type Answer struct {
	Status   knock.Status
	Sessions []link.Session
	Results  []link.Result
	At       time.Time
}

// New makes a core that pairs with whoever has the token.
func New(token string) *Core {
	return &Core{
		token: token, sessions: make(map[ownline.SessionID]link.Session), revisions: make(map[ownline.SessionID]uint64),
		devices: make(map[ownline.DeviceID]link.Device), readers: make(map[chan link.Event]struct{}),
		pending: make(map[uint64]chan Answer), counts: make(map[string]int), changed: make(chan struct{}),
		reserved: []uint16{22, 53}, networks: []netip.Prefix{netip.MustParsePrefix("192.168.7.0/24"), netip.MustParsePrefix("fd00:7::/64")},
	}
}

// SetHooks sets functions that run before a command is carried out and after it was, with
// its name: "pair", "key", "state", "put", "end", "flush", "pass", "verdict" or, for one that is not to be
// answered, "ignored". An error is the reply.
func (c *Core) SetHooks(before, after func(op string) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.before, c.after = before, after
}

// do carries out a command between its hooks.
func (c *Core) do(op string, f func() error) error {
	c.mu.Lock()
	before, after := c.before, c.after
	c.mu.Unlock()
	if before != nil {
		if err := before(op); err != nil {
			return err
		}
	}
	c.mu.Lock()
	c.counts[op]++
	err := f()
	close(c.changed)
	c.changed = make(chan struct{})
	c.mu.Unlock()
	if err == nil && after != nil {
		err = after(op)
	}
	return err
}

// Trusted implements link.Commands.
func (c *Core) Trusted(p link.Pin) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next != "" && c.next.Equal(p) {
		c.trusted, c.next = p, ""
	}
	return c.trusted != "" && c.trusted.Equal(p)
}

// NextKey implements link.Commands.
func (c *Core) NextKey(_, next link.Pin) error {
	return c.do("key", func() error {
		c.next = next
		return nil
	})
}

// Preview implements link.Commands.
func (c *Core) Preview(_ context.Context, s link.Service) (string, error) {
	return "# " + s.Name + "\n" + s.Options.Template, nil
}

// SetAuthority sets what signs for web.
func (c *Core) SetAuthority(sign func(csr []byte) (link.Certificate, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sign = sign
}

// Certify implements link.Certifier.
func (c *Core) Certify(_ context.Context, r link.CertificateRequest) (link.Certificate, error) {
	c.mu.Lock()
	sign := c.sign
	c.mu.Unlock()
	if sign == nil {
		return link.Certificate{}, ownline.Conflict("csr", "there is nobody who could sign")
	}
	return sign(r.CSR)
}

// Reach implements link.Commands: nothing listens at odd ports.
func (c *Core) Reach(_ context.Context, target netip.AddrPort) (link.Reached, error) {
	r := link.Reached{Took: time.Millisecond}
	if target.Port()%2 == 1 {
		r.Failure = link.ReachRefused
	}
	return r, nil
}

// Pair implements link.Commands.
func (c *Core) Pair(ctx context.Context, p link.Pin, token string) (link.Status, error) {
	err := c.do("pair", func() error {
		if c.token == "" || token != c.token {
			return ownline.Invalid("code", "was used already, or is too old; run `ownline-core pair` again")
		}
		c.trusted, c.next, c.token = p, "", ""
		return nil
	})
	return c.Status(ctx), err
}

// NewToken lets the core be paired once more.
func (c *Core) NewToken(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token = token
}

// Status implements link.Commands.
func (c *Core) Status(context.Context) link.Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	clock := link.Clock{Source: "system", Now: time.Now().UTC()}
	if c.clockless && c.state == 0 {
		clock = link.Clock{Source: "unknown", Why: "web has not told the time yet", Now: time.Now().UTC()}
	}
	return link.Status{
		Version: "test", Site: c.site, Paired: c.trusted != "", Connected: len(c.readers) > 0, Applied: link.Revision{Epoch: c.epoch, Revision: c.applied},
		Sessions: len(c.sessions), Devices: len(c.devices), KnockPort: 54754, LocalNetworks: slices.Clone(c.networks), ReservedPorts: slices.Clone(c.reserved),
		Clock: clock, Firewall: link.Firewall{Driver: "none", OK: true, Lacks: c.lacks},
		Proxy: c.proxy, Knocks: link.Knocks{Dropped: maps.Clone(c.dropped)},
	}
}

// SetDropped sets how many knocks it says to have refused, by reason.
func (c *Core) SetDropped(n map[string]uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropped = maps.Clone(n)
}

// SetClockless has it know no time before the first whole state tells it.
func (c *Core) SetClockless() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clockless = true
}

// SetLacks sets what its kernel does not take.
func (c *Core) SetLacks(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lacks = what
}

// PutState implements link.Commands.
func (c *Core) PutState(_ context.Context, s link.State) (results []link.Result, err error) {
	err = c.do("state", func() error {
		if s.Epoch == c.epoch && s.Revision.Revision < c.applied {
			return link.ErrStale
		}
		if s.Epoch != c.epoch {
			clear(c.revisions)
		}
		c.epoch, c.applied, c.state, c.site = s.Epoch, s.Revision.Revision, s.Revision.Revision, s.Site
		clear(c.sessions)
		clear(c.devices)
		for _, l := range s.Sessions {
			if p := c.apply(s.Now, s.Revision.Revision, l); p != nil {
				results = append(results, link.Result{ID: l.ID, Problem: p})
			}
		}
		for _, d := range s.Devices {
			c.devices[d.ID] = d
		}
		c.services, c.passes = slices.Clone(s.Services), slices.Clone(s.Passes)
		return nil
	})
	return results, err
}

// apply opens or renews. Call it with mu held.
func (c *Core) apply(now time.Time, rev uint64, l link.Session) *link.Problem {
	c.revisions[l.ID] = rev
	c.applied = max(c.applied, rev)
	switch {
	case l.Kind == ownline.Proxy && (l.PublicPort != c.proxy.Port || l.Target.IsValid() || l.ServiceID.IsZero()):
		return link.ProblemOf(ownline.Conflict("public_port", "is not that of the proxy"))
	case l.Kind != ownline.Proxy && slices.Contains(c.reserved, l.PublicPort) && !l.AllowReserved:
		return link.ProblemOf(ownline.Conflict("public_port", "the router serves it itself"))
	}
	if !l.Expires.After(now) {
		delete(c.sessions, l.ID)
		return nil
	}
	c.sessions[l.ID] = l
	return nil
}

// stale refuses what is older than what is known of the session. Call it with mu held.
func (c *Core) stale(r link.Revision, id ownline.SessionID) error {
	if r.Epoch != c.epoch || r.Revision < c.state || r.Revision <= c.revisions[id] {
		return link.ErrStale
	}
	return nil
}

// PutSession implements link.Commands.
func (c *Core) PutSession(_ context.Context, p link.Put) error {
	return c.do("put", func() error {
		if err := c.stale(p.Revision, p.ID); err != nil {
			return err
		}
		return c.apply(p.Now, p.Revision.Revision, p.Session).Err()
	})
}

// EndSession implements link.Commands.
func (c *Core) EndSession(_ context.Context, r link.Revision, id ownline.SessionID) error {
	return c.do("end", func() error {
		if err := c.stale(r, id); err != nil {
			return err
		}
		c.revisions[id] = r.Revision
		c.applied = max(c.applied, r.Revision)
		delete(c.sessions, id)
		return nil
	})
}

// PutPass implements link.Commands.
func (c *Core) PutPass(_ context.Context, p link.PutPass) error {
	return c.do("pass", func() error {
		if p.Epoch != c.epoch || p.Revision.Revision <= c.state && !slices.ContainsFunc(c.passes, p.Pass.Same) {
			return link.ErrStale
		}
		c.passes = append(slices.DeleteFunc(c.passes, p.Pass.Same), p.Pass)
		c.applied = max(c.applied, p.Revision.Revision)
		return nil
	})
}

// Passes returns those that core holds.
func (c *Core) Passes() []link.Pass {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.passes)
}

// Flush implements link.Commands.
func (c *Core) Flush(_ context.Context, r link.Revision) error {
	return c.do("flush", func() error {
		c.applied = max(c.applied, r.Revision)
		clear(c.sessions)
		return nil
	})
}

// Verdict implements link.Commands. The device gets one answer, whatever became of the
// sessions, so a verdict that is stale tells it the wrong thing.
func (c *Core) Verdict(_ context.Context, seq uint64, v link.Verdict) (results []link.Result, err error) {
	op := "verdict"
	if v.Ignored != "" {
		op = "ignored"
	}
	err = c.do(op, func() error {
		if v.Ignored != "" {
			c.ignored = append(c.ignored, v.Ignored)
			delete(c.pending, seq) // the device is told nothing
			return nil
		}
		live := 0
		for _, l := range v.Sessions {
			p := link.ProblemOf(c.stale(v.Revision, l.ID))
			if p == nil {
				p = c.apply(v.Now, v.Revision.Revision, l)
			}
			if p == nil {
				live++
			}
			results = append(results, link.Result{ID: l.ID, Problem: p})
		}
		if live == 0 && (v.Status == knock.Opened || v.Status == knock.Renewed) {
			v.Status = knock.Refused
		}
		if waiting, ok := c.pending[seq]; ok { // a core that was started anew knows of no knock
			delete(c.pending, seq)
			waiting <- Answer{v.Status, v.Sessions, results, time.Now()}
		}
		return nil
	})
	return results, err
}

// Subscribe implements link.Commands.
func (c *Core) Subscribe(ctx context.Context) <-chan link.Event {
	out := make(chan link.Event, 1024)
	status := c.Status(ctx)
	out <- link.Event{Type: link.EventHello, Status: &status}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readers[out] = struct{}{}
	context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if _, ok := c.readers[out]; ok {
			delete(c.readers, out)
			close(out)
		}
	})
	return out
}

// emit sends an event to whoever reads, and reports whether somebody does. Call it with mu
// held.
func (c *Core) emit(ev link.Event) bool {
	for r := range c.readers {
		select {
		case r <- ev:
		default: // too slow to be told everything
			delete(c.readers, r)
			close(r)
		}
	}
	return len(c.readers) > 0
}

// Knock reports a knock to web as if it had come from a device. The channel gets what the
// device would be told, if anything. Seq is set by Knock.
func (c *Core) Knock(k link.Knocked) (<-chan Answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.devices[k.Device]; !ok {
		return nil, errors.New("the core does not know the device")
	}
	c.seq++
	k.Seq = c.seq
	answer := make(chan Answer, 1)
	c.pending[k.Seq] = answer
	if !c.emit(link.Event{Type: link.EventKnock, Knock: &k}) {
		return nil, errors.New("nobody listens")
	}
	return answer, nil
}

// Expire ends a session on the router and reports it.
func (c *Core) Expire(id ownline.SessionID, why ownline.EndReason, t ownline.Traffic) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.sessions, id)
	c.emit(link.Event{Type: link.EventEnded, Ended: &link.Ended{ID: id, Reason: why, Traffic: t}})
}

// Count reports counters of sessions.
func (c *Core) Count(ts ...link.Traffic) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.emit(link.Event{Type: link.EventTraffic, Traffic: ts})
}

// Forget makes the core as it is after a reboot: it holds nothing, but is paired.
func (c *Core) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.sessions)
	clear(c.revisions)
	clear(c.devices)
	c.services, c.passes = nil, nil
	clear(c.pending)
	c.epoch, c.applied, c.state = "", 0, 0
}

// Web returns the key that the core obeys.
func (c *Core) Web() link.Pin {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.trusted
}

// Sessions returns what the core holds open.
func (c *Core) Sessions() map[ownline.SessionID]link.Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.sessions)
}

// Devices returns whose knocks the core would take.
func (c *Core) Devices() map[ownline.DeviceID]link.Device {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.devices)
}

// Services returns what the core's proxy would serve.
func (c *Core) Services() []link.Service {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.services)
}

// SetProxy makes the core's proxy another one, which its status tells.
func (c *Core) SetProxy(p link.Proxy) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.proxy = p
}

// Carried returns how often a command was carried out.
func (c *Core) Carried(op string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[op]
}

// Ignored returns why knocks were not to be answered.
func (c *Core) Ignored() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.ignored)
}

// Changed returns a channel that is closed after the next command.
func (c *Core) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}
