package bed

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// SpoofUDP sends one datagram whose source is any address and port, also one that is not the
// host's own. The answer, if any, goes to the real owner of that address.
func (h *Host) SpoofUDP(from, to netip.AddrPort, payload []byte) error {
	var lc net.ListenConfig
	lc.Control = onSocket(func(fd int) error {
		// A transparent socket may have any address (ip(7), IP_TRANSPARENT).
		if from.Addr().Is4() {
			return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_TRANSPARENT, 1)
		}
		return unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_TRANSPARENT, 1)
	})
	conn, err := h.listenUDP(lc, from)
	if err != nil {
		return fmt.Errorf("spoof %s: %w", from, err)
	}
	_, err = conn.WriteToUDPAddrPort(payload, to)
	return errors.Join(err, conn.Close())
}

// onSocket makes a function on a file descriptor into what net.ListenConfig calls.
func onSocket(set func(fd int) error) func(string, string, syscall.RawConn) error {
	return func(_, _ string, raw syscall.RawConn) error {
		var err error
		if cerr := raw.Control(func(fd uintptr) { err = set(int(fd)) }); cerr != nil {
			return cerr
		}
		return os.NewSyscallError("setsockopt", err)
	}
}

// reportICMP makes a UDP socket report every ICMP error that its packets cause. Without it
// Linux tells of a closed port but not of a missing route (udp(7)).
func reportICMP(network, address string, raw syscall.RawConn) error {
	return onSocket(func(fd int) error {
		if strings.HasSuffix(network, "4") {
			return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_RECVERR, 1)
		}
		return unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_RECVERR, 1)
	})(network, address, raw)
}

// softError reads the ICMP error that a TCP socket has got while connecting and not reported.
type softError struct {
	fd int // a second descriptor of the socket; 0: none
}

// watch is for net.Dialer.Control.
func (s *softError) watch(network, address string, raw syscall.RawConn) error {
	return onSocket(func(fd int) (err error) {
		s.fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		return err
	})(network, address, raw)
}

// end returns the error, if there is one, and lets go of the socket.
func (s *softError) end() error {
	if s.fd <= 0 {
		return nil
	}
	errno, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && errno != 0 {
		err = unix.Errno(errno)
	}
	if cerr := unix.Close(s.fd); err == nil {
		err = cerr
	}
	return err
}
