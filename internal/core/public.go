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

// at opens ports of one address.
func (p *public) at(addr netip.Addr) hole { return hole{p, addr} }

type hole struct {
	public *public
	addr   netip.Addr
}

// Open returns once the kernel leads everybody to the port; what close returns from is shut,
// or will be as soon as the kernel takes rules again.
func (h hole) Open(ctx context.Context, port uint16) (close func(), err error) {
	a := netip.AddrPortFrom(h.addr, port)
	p := h.public
	p.mu.Lock()
	p.open = append(p.open, a)
	p.mu.Unlock()
	close = func() {
		p.mu.Lock()
		if i := slices.Index(p.open, a); i >= 0 {
			p.open = slices.Delete(p.open, i, i+1)
		}
		p.mu.Unlock()
		_ = p.apply(context.WithoutCancel(ctx)) // the Reconciler tells, and tries again
	}
	if err := p.apply(ctx); err != nil {
		close()
		return nil, err
	}
	return close, nil
}
