package twin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// pass sends a packet along a way, and answers it.
func (t *twin) pass(ctx context.Context, w *Way, target string, port uint16) (o Outcome) {
	p := packet{protocol: udp, from: netip.AddrPortFrom(w.Source, port), size: 128} // of a knock
	if w.TCP {
		p.protocol, p.flags = tcp, syn
	}
	t.trace.dropped(&Outcome{}) // what is left of others
	to := t.own(w)
	if !to.IsValid() {
		o.Err = fmt.Errorf("this router has no address of the family of %s", w.Source)
		return o
	}
	p.to = netip.AddrPortFrom(to, w.Port)
	for to, name := range map[netip.Addr]string{w.Source: w.In, w.Target.Addr(): target} {
		if !to.IsValid() {
			continue
		}
		if err := t.lead(netip.PrefixFrom(to, to.BitLen()), name); err != nil {
			o.Err = fmt.Errorf("route %s by %s: %w", to, name, err)
			return o
		}
	}
	if w.Knock {
		t.knock(ctx, w, &p, &o)
		return o
	}
	var came *packet
	if came, o.Err = t.send(ctx, w.In, target, &p, &o, func(c *packet) bool { return c.to == w.Target }); came == nil {
		return o
	}
	o.There = true
	answer := packet{protocol: p.protocol, from: came.to, to: came.from, size: p.size}
	if w.TCP {
		answer.flags = syn | ack
	}
	came, o.Err = t.send(ctx, target, w.In, &answer, &o, func(c *packet) bool { return c.from == p.to && c.to == p.from })
	o.Back = came != nil
	return o
}

// knock sends one, and answers it by the socket that it comes to.
func (t *twin) knock(ctx context.Context, w *Way, p *packet, o *Outcome) {
	fd, err := socket(p.to)
	if o.Err = err; err != nil {
		return
	}
	defer unix.Close(fd)
	end, ok := t.ends[w.In]
	if !ok {
		o.Err = fmt.Errorf("the copy has no interface %s", w.In)
		return
	}
	if _, err := unix.Write(end, p.bytes()); err != nil {
		o.Err = os.NewSyscallError("write to a tunnel", err)
		return
	}
	if o.There, o.Err = t.await(ctx, fd, o, func([]byte) bool { return true }); !o.There || w.Silent {
		o.Back = o.There
		return
	}
	if err := unix.Sendto(fd, make([]byte, p.size), 0, sockaddr(p.from)); err != nil && !errors.Is(err, unix.EPERM) { // which is what a rule says
		o.Err = os.NewSyscallError("send an answer", err)
		return
	}
	o.Back, o.Err = t.await(ctx, end, o, func(b []byte) bool {
		c, ok := parse(b)
		return ok && c.from == p.to && c.to == p.from
	})
}

// socket is one of UDP in the copy.
func socket(at netip.AddrPort) (int, error) {
	fd, err := unix.Socket(int(family(at.Addr())), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, os.NewSyscallError("open a socket", err)
	}
	if err := unix.Bind(fd, sockaddr(at)); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("bind a socket", err)
	}
	return fd, nil
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// own is the address of the router that a packet of a way is sent to: of the interface by which it comes, or else of
// another. A provider's line may have none of IPv6 but that of the link.
func (t *twin) own(w *Way) (found netip.Addr) {
	for _, l := range t.links {
		for _, a := range l.addrs {
			if a.Addr().Is4() == w.Source.Is4() && (!found.IsValid() || l.name == w.In) {
				if found = a.Addr(); l.name == w.In {
					return found
				}
			}
		}
	}
	return found
}

// send has a packet come by one interface, and returns the one that leaves by another and is it; nil: none does.
func (t *twin) send(ctx context.Context, in, out string, p *packet, o *Outcome, is func(*packet) bool) (*packet, error) {
	for _, name := range []string{in, out} {
		if _, ok := t.ends[name]; !ok {
			return nil, fmt.Errorf("the copy has no interface %s", name)
		}
	}
	if _, err := unix.Write(t.ends[in], p.bytes()); err != nil {
		return nil, os.NewSyscallError("write to a tunnel", err)
	}
	var came packet
	ok, err := t.await(ctx, t.ends[out], o, func(b []byte) (ok bool) {
		came, ok = parse(b)
		return ok && came.protocol == p.protocol && is(&came)
	})
	if !ok {
		return nil, err
	}
	return &came, nil
}

// await reads what comes until it is what is awaited; false: that was dropped, or does not come.
func (t *twin) await(ctx context.Context, fd int, o *Outcome, is func([]byte) bool) (bool, error) {
	buf := make([]byte, 2048)
	for end := time.Now().Add(patience); ; {
		left := time.Until(end)
		switch err := ctx.Err(); {
		case err != nil:
			return false, err
		case left <= 0:
			return false, nil
		case !readable(min(left, blink), fd, t.trace.fd):
			continue
		}
		n, err := unix.Read(fd, buf)
		switch {
		case err == nil && is(buf[:n]):
			return true, nil
		case err != nil && !errors.Is(err, unix.EAGAIN):
			return false, os.NewSyscallError("read from a tunnel", err)
		case err != nil && t.trace.dropped(o):
			return false, nil
		}
	}
}
