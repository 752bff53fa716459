package portmap

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"
)

// pcp asks by the Port Control Protocol.
type pcp struct {
	router   netip.AddrPort
	local    netip.Addr
	secret   []byte // what nonces are made of
	epoch    epoch
	lost     bool
	addr     netip.Addr
	noFilter bool // the router has no filters
	noExact  bool // nor the option to have that very port
}

func dialPCP(ctx context.Context, router netip.Addr, secret []byte) (protocol, error) {
	return dialPCPAt(ctx, netip.AddrPortFrom(router, pcpPort), secret)
}

func dialPCPAt(ctx context.Context, router netip.AddrPort, secret []byte) (protocol, error) {
	p := &pcp{router: router, secret: secret}
	var err error
	if p.local, err = localTo(router); err != nil {
		return nil, err
	}
	if _, err = p.look(ctx, nil); err != nil {
		return nil, err
	}
	return p, nil
}

// localTo is the address by which this router speaks to another.
func localTo(router netip.AddrPort) (netip.Addr, error) {
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(router))
	if err != nil {
		return netip.Addr{}, err
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

func (p *pcp) external() netip.Addr { return p.addr }

// look tells by the epoch, and whatever the server makes of the question, it has answered.
func (p *pcp) look(ctx context.Context, _ []key) (bool, error) {
	_, err := p.exchange(ctx, announce(p.local), func(r *pcpResponse) bool { return r.op == opAnnounce })
	lost := p.lost
	p.lost = false
	return lost, err
}

func (p *pcp) open(ctx context.Context, o *Opening, lease time.Duration) (grant, error) {
	n := len(o.Sources)
	narrow := n > 0 && n <= maxFilters && !p.noFilter
	for {
		m := p.request(o.key(), lease)
		m.exact, m.filtered, m.sources = !p.noExact, !p.noFilter, nil
		if narrow {
			m.sources = o.Sources
		}
		r, err := p.send(ctx, m)
		switch {
		case err != nil:
			return grant{}, err
		case r.result == pcpManyRemotePeers && narrow:
			narrow = false
			continue
		case r.result == pcpUnsuppOption && !p.noFilter:
			p.noFilter, narrow = true, false
			continue
		case r.result == pcpUnsuppOption && !p.noExact:
			p.noExact = true
			continue
		case r.result != pcpSuccess:
			return grant{}, pcpRefusal(r.result)
		case r.mapped.external != o.Port:
			if err := p.shut(ctx, o.key()); err != nil {
				return grant{}, err
			}
			return grant{}, otherPort(r.mapped.external)
		}
		p.addr = r.mapped.addr
		return grant{time.Duration(r.lifetime) * time.Second, narrow}, nil
	}
}

func (p *pcp) shut(ctx context.Context, k key) error {
	_, err := p.send(ctx, p.request(k, 0)) // whatever is answered, it asked for nothing more
	return err
}

// request has a nonce that core knows again after a restart: to others, the server gives nothing.
func (p *pcp) request(k key, lease time.Duration) *mapRequest {
	mac := hmac.New(sha256.New, p.secret)
	mac.Write([]byte(p.router.Addr().String() + " " + k.String()))
	return &mapRequest{client: p.local, lifetime: uint32(lease / time.Second), nonce: nonce(mac.Sum(nil)[:12]), protocol: k.number(), port: k.port}
}

func (p *pcp) send(ctx context.Context, m *mapRequest) (*pcpResponse, error) {
	return p.exchange(ctx, m.bytes(), func(r *pcpResponse) bool {
		return r.op == opMap && r.mapped.nonce == m.nonce && r.mapped.protocol == m.protocol && r.mapped.internal == m.port
	})
}

// pcpTries are how long each try waits. The RFC begins with 3 seconds, for servers in the
// provider's network; this one is in the LAN.
var pcpTries = [...]time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second}

// exchange asks and returns the answer that is meant. The kernel takes none but the router's.
func (p *pcp) exchange(ctx context.Context, request []byte, meant func(*pcpResponse) bool) (*pcpResponse, error) {
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(p.router))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	buf := make([]byte, pcpMax+1)
	for _, wait := range pcpTries {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if _, err := conn.Write(request); err != nil {
			return nil, err
		}
		conn.SetReadDeadline(time.Now().Add(wait))
		for {
			n, err := conn.Read(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return nil, err
			}
			r, err := parsePCP(buf[:n])
			if errors.Is(err, errPCPVersion) {
				return nil, err
			}
			if err != nil || !meant(&r) {
				continue
			}
			p.lost = p.epoch.lost(r.epoch, time.Now()) || p.lost
			return &r, nil
		}
	}
	return nil, errSilent
}
