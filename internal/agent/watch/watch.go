// Package watch tells when this machine's network has changed, and when the machine has slept
// or its clock was set. Where the system tells so by itself, nothing wakes up in between.
package watch

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ownline/ownline/internal/agent/schedule"
	"github.com/ownline/ownline/internal/logging"
)

const (
	// quiet is how long nothing must have changed before a change is told: many come together.
	quiet = time.Second
	// impatience is how long a change is held back at most.
	impatience = 5 * time.Second
	// every is how often is looked where nothing tells.
	every = 30 * time.Second
	// slack is by how much a look may be late before the machine must have slept.
	slack = 10 * time.Second
)

// Watch watches this machine.
type Watch struct{ Log *slog.Logger }

// teller is what the system tells by. It calls tell until ctx ends.
type teller interface {
	run(ctx context.Context, tell func()) error
}

// Run watches until ctx ends, which is no error.
func (w Watch) Run(ctx context.Context, tell func(schedule.Reason)) error {
	g, ctx := errgroup.WithContext(ctx)
	p := poll{sources: sources, wall: time.Now}
	for _, part := range []struct {
		reason schedule.Reason
		open   func() (teller, error)
		look   *func()
	}{{schedule.Network, openNetwork, &p.network}, {schedule.Wake, openSleep, &p.woke}} {
		told := func() { tell(part.reason) }
		t, err := part.open()
		if err != nil {
			w.Log.Info("looking every half minute for changes", "of", string(part.reason), logging.Err, err)
			*part.look = told
			continue
		}
		g.Go(func() error { return t.run(ctx, told) })
	}
	if p.network != nil || p.woke != nil {
		g.Go(func() error { return p.run(ctx) })
	}
	return g.Wait()
}

// poll looks from time to time.
type poll struct {
	sources       func() [2]netip.Addr
	wall          func() time.Time
	network, woke func() // nil: something else tells
}

func (p poll) run(ctx context.Context) error {
	timer := time.NewTicker(every)
	defer timer.Stop()
	from, last := p.sources(), p.wall().Round(0)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		wall := p.wall().Round(0)
		// Timers stand still while some systems sleep, and are late on the others.
		if late := wall.Sub(last) - every; late.Abs() > slack && p.woke != nil {
			p.woke()
		}
		last = wall
		if now := p.sources(); now != from && p.network != nil {
			from = now
			p.network()
		}
	}
}

// sources are the addresses that this machine would send from to the internet. Nothing is sent.
func sources() (out [2]netip.Addr) {
	for i, far := range []string{"192.0.2.1:9", "[2001:db8::1]:9"} { // RFC 5737, RFC 3849
		conn, err := net.Dial("udp", far)
		if err != nil {
			continue // no way there
		}
		out[i] = conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr()
		conn.Close()
	}
	return out
}
