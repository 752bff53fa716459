package session

import (
	"context"
	"net/netip"

	"github.com/ownline/ownline/internal/ownline"
)

// held names what the reverse proxy asks for: one source at one service.
type held struct {
	service ownline.ServiceID
	source  netip.Prefix
}

// hold lives while at least one session admits a source to a proxied service.
type hold struct {
	sessions int
	live     context.Context
	end      context.CancelFunc
}

// Admitted reports whether a live session admits the address to a service of kind proxy.
// The context ends with the last such session; renewals leave it alone.
func (b *Book) Admitted(service ownline.ServiceID, addr netip.Addr) (context.Context, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	bits := 32
	if addr.Is6() {
		bits = b.prefix6
	}
	source, err := addr.Prefix(bits)
	if err != nil {
		return nil, false
	}
	h, ok := b.holds[held{service, source}]
	if !ok {
		return nil, false
	}
	return h.live, true
}

// hold counts a session of a proxied service in.
func (b *Book) hold(s *Session) {
	if s.Kind != ownline.Proxy {
		return
	}
	k := held{s.ServiceID, s.Source}
	h := b.holds[k]
	if h == nil {
		h = new(hold)
		h.live, h.end = context.WithCancel(context.Background())
		b.holds[k] = h
	}
	h.sessions++
	if s.Source.Addr().Is6() {
		b.prefix6 = s.Source.Bits()
	}
}

// release counts it out, and ends what the last one held.
func (b *Book) release(s *Session) {
	if s.Kind != ownline.Proxy {
		return
	}
	k := held{s.ServiceID, s.Source}
	h := b.holds[k]
	if h.sessions--; h.sessions == 0 {
		delete(b.holds, k)
		h.end()
	}
}
