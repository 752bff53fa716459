package core

import (
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
func absent(a netip.Addr) (failure string) {
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
	conn, err := d.Dial("udp", netip.AddrPortFrom(a, discard).String())
	if err == nil {
		defer conn.Close()
		err = conn.SetDeadline(time.Now().Add(neighbourPatience))
	}
	if err == nil {
		_, err = conn.Write([]byte{0})
	}
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
	}
	if errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH) {
		return link.ReachNoRoute
	}
	return ""
}
