package embedded

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// listening is how the server listens. A connection inherits from its listener how the kernel
// finds out that the client is gone, which net would set at each anew. Multipath TCP, net's
// default, would let a client add addresses to a connection that nobody has admitted.
func listening() *net.ListenConfig {
	lc := &net.ListenConfig{KeepAlive: -1, Control: func(_, _ string, raw syscall.RawConn) (err error) {
		const seconds, probes = 15, 9
		e := raw.Control(func(fd uintptr) {
			err = errors.Join(
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1),
				unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds),
				unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, seconds),
				unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPCNT, probes),
			)
		})
		return errors.Join(e, err)
	}}
	lc.SetMultipathTCP(false)
	return lc
}
