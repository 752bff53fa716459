//go:build !noproxy

package core

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
)

// challengeAtMost is how long a port is open for a certificate authority. The kernel shuts it
// then, also when core has been killed meanwhile.
const challengeAtMost = 10 * time.Minute

// public are the addresses of the proxy that everybody may reach for a while: acme.Hole.
type public struct {
	apply func(context.Context) error // makes the kernel follow; set before anything is opened

	mu       sync.Mutex // guards what is below
	open     []firewall.Public
	doorstep []firewall.Public
}

func newPublic() *public { return &public{} }

func (p *public) list() []firewall.Public {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Concat(p.open, p.doorstep)
}

// guests replaces what is open to guests. The kernel follows with the next apply.
func (p *public) guests(ports []firewall.Public) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doorstep = ports
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
	end := time.Now().Add(challengeAtMost)
	p.mu.Lock()
	for _, a := range h.addrs {
		if a.Port() == port {
			p.open = append(p.open, firewall.Public{AddrPort: a, Until: end, Stay: end})
		}
	}
	p.mu.Unlock()
	close = func() {
		p.mu.Lock()
		p.open = slices.DeleteFunc(p.open, func(a firewall.Public) bool { return slices.Contains(h.addrs, a.AddrPort) })
		p.mu.Unlock()
		_ = p.apply(context.WithoutCancel(ctx)) // the Reconciler tells, and tries again
	}
	if err := p.apply(ctx); err != nil {
		close()
		return nil, err
	}
	return close, nil
}
