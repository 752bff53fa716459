package bed

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// ServeWho answers everyone who comes to a port of the host, by TCP and UDP, with the address that
// they came to. It ends with the bed.
func (h *Host) ServeWho(port uint16) error {
	for _, a := range append(append([]netip.Addr(nil), h.IPv4s...), h.IPv6s...) {
		at := netip.AddrPortFrom(a, port)
		l, err := h.ListenTCP(at)
		if err != nil {
			return err
		}
		if err := h.bed.own(l.Close); err != nil {
			return err
		}
		u, err := h.ListenUDP(at)
		if err != nil {
			return err
		}
		if err := h.bed.own(u.Close); err != nil {
			return err
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = c.Write([]byte(at.String()))
				_ = c.Close()
			}
		}()
		go func() {
			buf := make([]byte, 100)
			for {
				_, from, err := u.ReadFromUDPAddrPort(buf)
				if err != nil {
					return
				}
				_, _ = u.WriteToUDPAddrPort([]byte(at.String()), from)
			}
		}()
	}
	return nil
}

// AskWho reports which server of ServeWho answers at an address within a time, by "tcp" or "udp".
func (h *Host) AskWho(wait time.Duration, network string, at netip.AddrPort) (netip.AddrPort, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	c, err := h.DialContext(ctx, network, at.String())
	if err != nil {
		return netip.AddrPort{}, false
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(wait))
	if _, udp := c.(*net.UDPConn); udp {
		_, _ = c.Write([]byte("who?"))
	}
	buf := make([]byte, 100)
	n, err := c.Read(buf)
	if err != nil {
		return netip.AddrPort{}, false
	}
	who, err := netip.ParseAddrPort(string(buf[:n]))
	return who, err == nil
}
