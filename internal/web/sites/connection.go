package sites

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

const (
	knocksAtOnce  = 64
	knocksWaiting = 1024            // more are dropped; their devices knock again
	deviceWaiting = 64              // of one device, so that it keeps nobody else out
	patience      = 2 * time.Second // for a first connection, before commands are refused
	eventsWaiting = 4096
	eventsAtOnce  = 100
)

// connection follows the core's events and keeps its state, until either fails.
func (s *site) connection(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	giveUp := time.AfterFunc(patience, func() { s.with(func() { s.tried = true }) })
	defer giveUp.Stop()

	told := make(chan link.Status, 1)
	events := make(chan link.Event, eventsWaiting)
	knocks := newKnocks(s)
	started := false
	err := s.client.Events(ctx, func(ev link.Event) error {
		s.heard()
		switch {
		case ev.Type == link.EventHello && ev.Status != nil:
			s.met(*ev.Status)
			select {
			case <-told: // an older one that nobody has read
			default:
			}
			told <- *ev.Status
			if !started {
				started = true
				wg.Go(func() { fail(s.keep(ctx, told)) })
				wg.Go(func() { fail(s.report(ctx, events)) })
				wg.Go(func() { fail(s.look(ctx, *ev.Status)) })
				wg.Go(func() { fail(s.tellKey(ctx)) })
			}
		case !started:
			return errors.New("core did not begin with hello")
		case ev.Type == link.EventKnock && ev.Knock != nil:
			k := *ev.Knock
			knocks.start(ctx, &wg, asked{k.Seq, k.Device, k.Source, func(ctx context.Context) (*link.Verdict, []link.Session, error) {
				return s.desk.Knock(ctx, s.id, k)
			}})
		case ev.Type == link.EventFwknop && ev.Fwknop != nil:
			p := *ev.Fwknop
			knocks.start(ctx, &wg, asked{p.Seq, p.Device, p.Source, func(ctx context.Context) (*link.Verdict, []link.Session, error) {
				return s.desk.KnockFwknop(ctx, s.id, p)
			}})
		case (ev.Type == link.EventEnded && ev.Ended != nil) || ev.Type == link.EventTraffic:
			select {
			case events <- ev:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// met takes over what the first word of a connection says, and has the whole state sent.
func (s *site) met(st link.Status) {
	s.note(st)
	s.with(func() { s.resend = true })
}

// keep sends the whole state whenever it is due.
func (s *site) keep(ctx context.Context, told <-chan link.Status) error {
	for {
		select {
		case st := <-told:
			if err := s.desk.Told(ctx, s.id, st); err != nil {
				return err
			}
		default:
		}
		send, again, changed := s.due(time.Now())
		if send {
			if err := s.sendState(ctx); err != nil {
				return err
			}
			continue
		}
		var later <-chan time.Time
		if again > 0 {
			later = time.After(again)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-later:
		}
	}
}

// sendState makes core hold the whole desired state.
func (s *site) sendState(ctx context.Context) error {
	st, opening, results, err := s.applyState(ctx)
	if err != nil {
		return err
	}
	if s.stated(st.Revision, results) {
		s.log.Info("link to core is up", "revision", st.Revision.Revision, "sessions", len(st.Sessions), "devices", len(st.Devices))
		s.tellHealth(ctx)
	}
	s.gate.Release(gateWidth)
	if len(opening)+len(results) > 0 {
		if err := s.desk.Settle(ctx, s.id, opening, results); err != nil {
			return err
		}
	}
	s.mu.Lock()
	removed := s.removed
	s.mu.Unlock()
	if removed && len(st.Sessions)+len(st.Devices) == 0 {
		return s.desk.Cleared(ctx, s.id)
	}
	return nil
}

// applyState shuts the gate and sends the state; when it returns no error, the gate is
// still shut.
func (s *site) applyState(ctx context.Context) (st link.State, opening []ownline.SessionID, results []link.Result, err error) {
	ctx, cancel := context.WithTimeout(ctx, stateTimeout)
	defer cancel()
	if err := s.gate.Acquire(ctx, gateWidth); err != nil {
		return st, nil, nil, fmt.Errorf("commands did not finish: %w", err)
	}
	var wait link.Backoff
	for {
		if st, opening, err = s.desk.Desired(ctx, s.id); err != nil {
			break
		}
		st.Now = time.Now().UTC()
		if results, err = s.client.PutState(ctx, st); err == nil {
			s.heard()
			return st, opening, results, nil
		}
		if !errors.Is(err, link.ErrStale) {
			break
		}
		// Core has something newer: what of, only its status tells.
		status, serr := s.client.Status(ctx)
		if serr != nil {
			err = serr
			break
		}
		if err = s.desk.Told(ctx, s.id, status); err != nil {
			break
		}
		if wait.Sleep(ctx); ctx.Err() != nil {
			err = ctx.Err()
			break
		}
	}
	s.gate.Release(gateWidth)
	return st, nil, nil, fmt.Errorf("send the whole state: %w", err)
}

// report hands on what core says of its sessions, in order.
func (s *site) report(ctx context.Context, events <-chan link.Event) error {
	for {
		var ev link.Event
		select {
		case <-ctx.Done():
			return ctx.Err()
		case ev = <-events:
		}
		var ended []link.Ended
		var traffic []link.Traffic
		for n := 0; ; n++ {
			if ev.Type == link.EventEnded {
				ended = append(ended, *ev.Ended)
			} else {
				traffic = append(traffic, ev.Traffic...)
			}
			if n == eventsAtOnce || len(events) == 0 {
				break
			}
			ev = <-events
		}
		// Counters first: those of an end are newer than any before it.
		if len(traffic) > 0 {
			if err := s.desk.Traffic(ctx, s.id, traffic); err != nil {
				return err
			}
		}
		if len(ended) > 0 {
			again, err := s.desk.Ended(ctx, s.id, ended)
			if err != nil {
				return err
			}
			if again {
				s.with(func() { s.resend = true })
			}
		}
	}
}
