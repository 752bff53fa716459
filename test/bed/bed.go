package bed

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
)

// Bed is the world. Its methods and those of its hosts may be called from several
// goroutines at once.
type Bed struct {
	Internet *Host // forwards between the others; owns the first address of every public network
	Client1  *Host // three IPv6 addresses: two in one /64, one in another; two of IPv4
	Client2  *Host // two IPv6 addresses in one /64
	Stranger *Host // two IPv6 addresses in one /64; never let in
	Router   *Host // IPv4 and IPv6 are those of wan0; the second of each list is that of lan0
	Lan      *Host // one host that plays several: three addresses of each family

	LAN4, LAN6 netip.Prefix // the networks behind the router

	hosts []*Host

	mu     sync.Mutex
	owned  []func() error // what Close ends, last first
	closed bool
}

// Option changes the world that New builds.
type Option func(*plan)

// WithoutLANRoute leaves the LAN hosts without a route through the router, as in a LAN whose
// default gateway is another box: they answer only addresses of their own network, so a
// forward works only when it is masqueraded.
func WithoutLANRoute() Option {
	return func(p *plan) { p.lanRoute = false }
}

// New builds a bed. ctx bounds the building only; the bed lives until Close. Without the
// rights to build one the error says what would give them, as that of Check does.
func New(ctx context.Context, opts ...Option) (*Bed, error) {
	p := newPlan()
	for _, o := range opts {
		o(&p)
	}
	b := &Bed{LAN4: p.lan4, LAN6: p.lan6}
	if err := b.build(ctx, p); err != nil {
		return nil, errors.Join(fmt.Errorf("build test bed: %w", err), b.Close())
	}
	return b, nil
}

// Hosts returns all hosts of the bed.
func (b *Bed) Hosts() []*Host { return append([]*Host(nil), b.hosts...) }

// Close ends servers, flows and captures of the bed, kills the processes that were started
// on its hosts, waits for running Do calls and gives the namespaces back to the kernel.
// Sockets that a caller has made on a host are the caller's: they keep their namespace alive
// until they are closed. Close may be called more than once.
func (b *Bed) Close() error {
	b.mu.Lock()
	owned := b.owned
	b.owned, b.closed = nil, true
	b.mu.Unlock()
	var errs []error
	for i := len(owned) - 1; i >= 0; i-- {
		errs = append(errs, owned[i]())
	}
	for _, h := range b.hosts {
		errs = append(errs, h.ns.close())
	}
	return errors.Join(errs...)
}

var errClosed = errors.New("the test bed is closed")

// own has Close call end. If the bed is closed already, end is called at once and own
// returns errClosed.
func (b *Bed) own(end func() error) error {
	b.mu.Lock()
	if !b.closed {
		b.owned = append(b.owned, end)
		b.mu.Unlock()
		return nil
	}
	b.mu.Unlock()
	return errors.Join(errClosed, end())
}
