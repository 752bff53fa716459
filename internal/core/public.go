//go:build !noproxy

package core

import (
	"context"
	"net/netip"
	"slices"
	"sync"
)

// public are the addresses of the proxy that everybody may reach for a while: acme.Hole.
type public struct {
	apply func(context.Context) error // makes the kernel follow; set before anything is opened

	mu   sync.Mutex // guards open
	open []netip.AddrPort
}

func newPublic() *public { return &public{} }

func (p *public) list() []netip.AddrPort {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.open)
}

// at opens ports of some addresses.
func (p *public) at(addrs ...netip.AddrPort) hole { return hole{p, addrs} }

type hole struct {
	public *public
	addrs  []netip.AddrPort
}

// Open returns once the kernel leads everybody to the addresses of that port; what close
// returns from is shut, or will be as soon as the kernel takes rules again.
func (h hole) Open(ctx context.Context, port uint16) (close func(), err error) {
	p := h.public
	p.mu.Lock()
	for _, a := range h.addrs {
		if a.Port() == port {
			p.open = append(p.open, a)
		}
	}
	p.mu.Unlock()
	close = func() {
		p.mu.Lock()
		p.open = slices.DeleteFunc(p.open, func(a netip.AddrPort) bool { return slices.Contains(h.addrs, a) })
		p.mu.Unlock()
		_ = p.apply(context.WithoutCancel(ctx)) // the Reconciler tells, and tries again
	}
	if err := p.apply(ctx); err != nil {
		close()
		return nil, err
	}
	return close, nil
}
