package core

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ownline/ownline/internal/core/udpknock"
	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// commands is what web can have done: link.Commands.
type commands struct{ *Core }

// Trusted also goes over to the next key of web when that appears. On the disk first: a core
// that forgot this in a crash would go on obeying the old key.
func (c commands) Trusted(p link.Pin) bool {
	s := c.state.get()
	switch {
	case s.Web != "" && s.Web.Equal(p):
		return true
	case s.NextWeb == "" || !s.NextWeb.Equal(p):
		return false
	}
	taken := false
	err := c.state.change(func(s *saved) {
		if taken = s.NextWeb == p; taken { // still, or somebody else was quicker
			s.Web, s.NextWeb = p, ""
		}
	})
	if err != nil {
		c.log.Error("can't go over to the next key of web", logging.Err, err)
		return false
	}
	if taken {
		c.hub.cut() // the old key learns nothing more
		c.log.Info("web has a new key; the old one is forgotten", "pin", p)
	}
	return taken || c.state.get().Web.Equal(p)
}

func (c commands) NextKey(peer, next link.Pin) error {
	obeyed := false
	err := c.state.change(func(s *saved) {
		if obeyed = s.Web.Equal(peer); !obeyed {
			return
		}
		if next == s.Web {
			next = ""
		}
		s.NextWeb = next
	})
	if err == nil && !obeyed {
		return fmt.Errorf("web has gone over to another key: %w", link.ErrUnpaired)
	}
	return err
}

func (c commands) Pair(ctx context.Context, web link.Pin, token string) (link.Status, error) {
	if err := c.pairing.pair(web, token); err != nil {
		return link.Status{}, err
	}
	c.hub.cut() // the web before it learns nothing more
	return c.Status(ctx), nil
}

func (c commands) PutState(ctx context.Context, s link.State) ([]link.Result, error) {
	if err := checkState(s); err != nil {
		return nil, err
	}
	if err := c.book.CheckState(s.Revision); err != nil {
		return nil, err
	}
	c.clock.Tell(s.Now)
	began := time.Now()
	if err := c.state.change(func(v *saved) { v.Site, v.SiteName, v.IPv6Prefix = s.Site, s.SiteName, s.IPv6Prefix }); err != nil {
		return nil, err
	}
	until := func(t time.Time) time.Time { return began.Add(t.Sub(s.Now)) }
	_, refused, err := c.book.Replace(s.Revision, s.Sessions, func(l link.Session) time.Time { return until(l.Expires) })
	if err != nil {
		return nil, err
	}
	if err := c.door.SetDevices(s.Site, s.IPv6Prefix, s.Devices, s.FwknopDevices); err != nil {
		return nil, err
	}
	c.setInside(s.Inside)
	c.names.pass(s, until)
	if err := c.expect(s, began); err != nil {
		c.log.Error("there is no doorstep for guests", logging.Err, err)
	}
	c.names.set(s.Services, c.host.localNetworks())
	if err := c.reconciler.Replaced(ctx, s.IPv6Prefix); err != nil {
		return nil, err
	}
	c.log.Info("holds the whole state", "revision", s.Revision.Revision, "sessions", len(s.Sessions)-len(refused),
		"refused", len(refused), "devices", c.door.Devices(), logging.Took, time.Since(began).Round(time.Microsecond))
	return refused, nil
}

var errNoConfiguration = ownline.Conflict("site", "its router's proxy writes no configuration for another program: proxy.driver in core.yaml is not nginx")

func (c commands) Preview(ctx context.Context, s link.Service) (string, error) {
	return c.names.preview(ctx, s, c.host.localNetworks())
}

// expect makes the doorstep what a state wants. The firewall follows with what is applied next.
func (c *Core) expect(s link.State, now time.Time) error {
	var until time.Time
	if s.Doorstep != nil && s.Doorstep.Until.After(s.Now) {
		until = now.Add(s.Doorstep.Until.Sub(s.Now))
	}
	err := c.names.expect(s.Doorstep, until, c.host.localNetworks())
	c.setLAN()
	return err
}

func checkState(s link.State) error {
	switch {
	case s.Site.IsZero():
		return ownline.Invalid("site", "missing")
	case s.IPv6Prefix < 48 || s.IPv6Prefix > 128:
		return ownline.Invalid("ipv6_prefix", "not 48 to 128")
	case s.Now.IsZero():
		return ownline.Invalid("now", "missing")
	case s.Epoch == "":
		return ownline.Invalid("epoch", "missing")
	}
	for _, d := range s.Devices {
		if len(d.Secret) != knock.SecretSize {
			return ownline.Invalid("devices", fmt.Sprintf("the secret of %s has not %d bytes", d.ID, knock.SecretSize))
		}
	}
	for _, in := range s.Inside {
		if in.Transport != ownline.TCP && in.Transport != ownline.UDP || in.PublicPort == 0 {
			return ownline.Invalid("inside", fmt.Sprintf("%s %d is not a port", in.Transport, in.PublicPort))
		}
	}
	return udpknock.CheckFwknop(s.FwknopDevices)
}

func (c commands) PutSession(ctx context.Context, p link.Put) error {
	if p.Now.IsZero() {
		return ownline.Invalid("now", "missing")
	}
	c.clock.Tell(p.Now)
	return c.open(ctx, p.Stamp, []link.Session{p.Session})[0]
}

// open opens or renews sessions in one transaction of the kernel, and returns the error of
// each.
func (c *Core) open(ctx context.Context, stamp link.Stamp, sessions []link.Session) []error {
	now := time.Now()
	errs := make([]error, len(sessions))
	undo := make([]func(), len(sessions))
	var newest uint64
	for i, s := range sessions {
		generation, back, err := c.book.Put(stamp.Revision, s, now.Add(s.Expires.Sub(stamp.Now)))
		undo[i], errs[i] = back, err
		newest = max(newest, generation)
	}
	if err := c.reconciler.Wait(ctx, newest); err != nil {
		for i := range sessions {
			if errs[i] == nil {
				errs[i] = err
				undo[i]()
			}
		}
	}
	c.ports.wait(ctx) // so that who is told of a session gets in at once
	for i, s := range sessions {
		log := c.log.With(logging.Session, s.ID, logging.Source, s.Source, logging.Service, s.Service, logging.User, s.User, "port", s.PublicPort)
		if errs[i] != nil {
			log.Warn("session refused", logging.Err, errs[i])
		} else {
			log.Info("session open", "for", s.Expires.Sub(stamp.Now).Round(time.Millisecond))
		}
	}
	return errs
}

func (c commands) EndSession(ctx context.Context, rev link.Revision, id ownline.SessionID) error {
	generation, err := c.book.End(rev, id)
	if err != nil {
		return err
	}
	if err := c.reconciler.Wait(ctx, generation); err != nil {
		return err
	}
	c.log.Info("session closed", logging.Session, id)
	return nil
}

func (c commands) PutPass(_ context.Context, p link.PutPass) error {
	if p.Now.IsZero() {
		return ownline.Invalid("now", "missing")
	}
	c.clock.Tell(p.Now)
	return c.names.put(p, time.Now().Add(p.Expires.Sub(p.Now)))
}

var errNoProxy = ownline.Conflict("service", "this router has no reverse proxy")

func (c commands) Flush(ctx context.Context, rev link.Revision) error {
	generation, err := c.book.FlushFor(rev)
	if err != nil {
		return err
	}
	return c.reconciler.Wait(ctx, generation)
}

func (c commands) Verdict(ctx context.Context, seq uint64, v link.Verdict) ([]link.Result, error) {
	if v.Now.IsZero() {
		return nil, ownline.Invalid("now", "missing")
	}
	c.clock.Tell(v.Now)
	if v.Ignored != "" {
		c.door.Ignore(seq, outcomeOf(v.Ignored))
		return nil, nil
	}
	results := make([]link.Result, len(v.Sessions))
	live, stale, expires := 0, 0, time.Time{}
	var services []udpknock.Judged
	for _, r := range v.Refused {
		services = append(services, udpknock.Judged{Service: r.Service, ServiceID: r.ServiceID, Refused: r.Reason})
	}
	if len(v.Sessions) > 0 {
		for i, err := range c.open(ctx, v.Stamp, v.Sessions) {
			s := v.Sessions[i]
			results[i] = link.Result{ID: s.ID, Problem: link.ProblemOf(err)}
			if errors.Is(err, link.ErrStale) {
				stale++
			}
			judged := udpknock.Judged{Service: s.Service, ServiceID: s.ServiceID}
			if err != nil {
				judged.Refused = notApplied
			} else {
				judged.Session, judged.Until = s.ID, time.Now().Add(s.Expires.Sub(v.Now))
			}
			services = append(services, judged)
			if err != nil {
				continue
			}
			live++
			if expires.IsZero() || s.Expires.Before(expires) {
				expires = s.Expires
			}
		}
	}
	if stale > 0 && stale == len(v.Sessions) {
		return results, nil // overtaken: web gives its word again, and the device waits for that
	}
	if live == 0 && (v.Status == knock.Opened || v.Status == knock.Renewed) {
		v.Status = knock.Refused
	}
	c.door.Judge(seq, services)
	if err := c.door.Verdict(seq, v.Status, v.Reason, live, expires); err != nil {
		// The sessions are open all the same; the device only was not told.
		c.log.Warn("knock not answered", logging.Err, err)
	}
	return results, nil
}

func (c commands) Subscribe(ctx context.Context) <-chan link.Event {
	status := c.Status(ctx)
	return c.hub.subscribe(ctx, link.Event{Type: link.EventHello, Status: &status})
}
