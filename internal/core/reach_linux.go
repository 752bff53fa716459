package core

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/ownline/ownline/internal/link"
)

// discard is the port at which a host is asked whether it is there: no service of it learns of that (RFC 863).
const discard = 9

// neighbourPatience is for how long the kernel may look for a neighbour that was there before: 5 seconds until it does, and 3
// for an answer.
const neighbourPatience = 9 * time.Second

// absent tells if a host of the LAN is not there, as link.Reached has it: what it has to say of a port counts as an answer, and
// that it says nothing does not tell.
func absent(ctx context.Context, a netip.Addr) (failure string) {
	// Else the kernel keeps to itself that it finds no neighbour.
	level, option := syscall.IPPROTO_IP, syscall.IP_RECVERR
	if a.Is6() {
		level, option = syscall.IPPROTO_IPV6, syscall.IPV6_RECVERR
	}
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), level, option, 1) // then it says nothing
		})
	}}
	conn, err := d.DialContext(ctx, "udp", netip.AddrPortFrom(a, discard).String())
	if err == nil {
		defer conn.Close()
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		err = conn.SetDeadline(time.Now().Add(neighbourPatience))
	}
	if err == nil {
		_, err = conn.Write([]byte{0})
	}
	own := err != nil // the kernel has not even sent it
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
	}
	if (errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)) && (own || nobody(conn.(syscall.Conn), a.Is6())) {
		return link.ReachNoRoute
	}
	return ""
}

// nobody reports whether the error of a connection says that nobody has the address, or knows the way to it: hosts whose
// firewall refuses a packet have others, of which some are the same to who only reads.
func nobody(conn syscall.Conn, v6 bool) (is bool) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) {
		// A control message with a sock_extended_err: its origin is at 4, then the type and code of ICMP.
		var said [128]byte
		at := syscall.CmsgLen(0)
		_, n, _, _, err := syscall.Recvmsg(int(fd), nil, said[:], syscall.MSG_ERRQUEUE)
		if err != nil || n < at+7 {
			return
		}
		switch origin, kind, code := said[at+4], said[at+5], said[at+6]; {
		case origin == 1: // SO_EE_ORIGIN_LOCAL
			is = true
		case v6:
			is = kind == 1 && (code == 0 || code == 3) // no route, address unreachable
		default:
			is = kind == 3 && code <= 1 // network or host unreachable
		}
	})
	return is
}
