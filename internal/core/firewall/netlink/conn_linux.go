package netlink

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	readBuffer   = 64 << 10 // the kernel never makes a larger piece of a dump (32 KiB)
	firstSend    = 256 << 10
	answerWithin = 5 * time.Second // the kernel answers at once; this only keeps a bug from hanging us
)

// Conn is a netlink socket. It belongs to the network namespace of the thread that opened
// it, whichever thread uses it later. It is not safe for concurrent use.
type Conn struct {
	fd   int
	seq  uint32
	room int // bytes that one send may carry
	buf  []byte
}

// Dial opens a socket of a netlink family (NETLINK_NETFILTER, NETLINK_ROUTE) in the network
// namespace of the calling thread.
func Dial(family int) (*Conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, family)
	if err != nil {
		return nil, os.NewSyscallError("open netlink socket", err)
	}
	c := &Conn{fd: fd, buf: make([]byte, readBuffer)}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, errors.Join(os.NewSyscallError("bind netlink socket", err), c.Close())
	}
	// Errors come without a copy of what caused them, but with the kernel's words, where it
	// has any. Old kernels know neither option; nothing depends on them.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
	tv := unix.NsecToTimeval(answerWithin.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		return nil, errors.Join(os.NewSyscallError("set receive timeout", err), c.Close())
	}
	c.grow(firstSend)
	return c, nil
}

// Close closes the socket.
func (c *Conn) Close() error {
	if c.fd < 0 {
		return nil
	}
	fd := c.fd
	c.fd = -1
	return os.NewSyscallError("close netlink socket", unix.Close(fd))
}

// grow makes the send buffer large enough for n bytes, or as large as we are allowed to.
func (c *Conn) grow(n int) {
	if n <= c.room {
		return
	}
	if unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, n) != nil {
		_ = unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, n) // capped by net.core.wmem_max
	}
	if got, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_SNDBUF); err == nil {
		c.room = got - 1024 // the kernel compares with its own bookkeeping added
	}
}

// Room returns how many bytes one batch may have, at most want.
func (c *Conn) Room(want int) int {
	c.grow(want)
	return min(c.room, want)
}

// send sends the messages and returns the sequence number of the last.
func (c *Conn) send(m *Message) (uint32, error) {
	if c.fd < 0 {
		return 0, os.ErrClosed
	}
	b, last := m.bytes(c.seq)
	c.seq = last
	c.grow(len(b))
	for {
		err := unix.Sendto(c.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EMSGSIZE):
			return 0, fmt.Errorf("%d bytes: %w", len(b), ErrTooBig)
		}
		return last, os.NewSyscallError("send to netlink", err)
	}
}

// receive reads what the kernel sent, one system call's worth.
func (c *Conn) receive(flags int) ([]byte, error) {
	for {
		n, _, err := unix.Recvfrom(c.fd, c.buf, flags|unix.MSG_TRUNC)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, err
		case n > len(c.buf):
			return nil, fmt.Errorf("netlink answer of %d bytes is larger than any known", n)
		}
		return c.buf[:n], nil
	}
}

// Do sends one request and gives each message that answers it to each, which may be nil:
// its type and what follows its header, valid during the call. The request must ask for a
// dump, or have its Ack.
func (c *Conn) Do(m *Message, each func(kind uint16, body []byte) error) error {
	last, err := c.send(m)
	if err != nil {
		return err
	}
	var failed error
	interrupted := false
	for {
		b, err := c.receive(0)
		if err != nil {
			return os.NewSyscallError("receive from netlink", err)
		}
		for h, body := range messages(b) {
			if h.seq != last {
				continue // left over from a request that was given up
			}
			interrupted = interrupted || h.flags&unix.NLM_F_DUMP_INTR != 0
			switch h.kind {
			case unix.NLMSG_DONE, unix.NLMSG_ERROR:
				if err := errorOf(h, body); err != nil {
					return err
				}
				if failed == nil && interrupted {
					failed = ErrInterrupted
				}
				return failed
			default:
				if each != nil && failed == nil {
					failed = each(h.kind, body) // keep reading, so that nothing is left behind
				}
			}
		}
	}
}

// Batch sends messages that the kernel either applies all or none. Only the last needs its
// Ack: errors are always told. It returns the first error that the kernel tells.
func (c *Conn) Batch(m *Message) error {
	first := c.seq
	last, err := c.send(m)
	if err != nil {
		return err
	}
	done := false
	for {
		b, err := c.receive(unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EAGAIN) && done:
			return c.drain(nil)
		case errors.Is(err, unix.EAGAIN):
			return errors.New("the kernel did not answer a batch")
		case err != nil:
			return c.drain(os.NewSyscallError("receive from netlink", err))
		}
		for h, body := range messages(b) {
			if h.seq-first-1 >= last-first || h.kind != unix.NLMSG_ERROR {
				continue
			}
			if err := errorOf(h, body); err != nil {
				return c.drain(fmt.Errorf("message %d of %d: %w", h.seq-first, last-first, err))
			}
			done = true
		}
	}
}

// drain empties the socket, so that the next answer is that to the next request, and returns
// err.
func (c *Conn) drain(err error) error {
	for {
		if _, e := c.receive(unix.MSG_DONTWAIT); e != nil && !errors.Is(e, unix.ENOBUFS) {
			return err
		}
	}
}

type header struct {
	kind, flags uint16
	seq         uint32
}

// messages walks over the messages in b.
func messages(b []byte) func(func(header, []byte) bool) {
	return func(yield func(header, []byte) bool) {
		for len(b) >= headerLen {
			n := int(binary.NativeEndian.Uint32(b))
			if n < headerLen || n > len(b) {
				return
			}
			h := header{
				kind:  binary.NativeEndian.Uint16(b[4:]),
				flags: binary.NativeEndian.Uint16(b[6:]),
				seq:   binary.NativeEndian.Uint32(b[8:]),
			}
			if !yield(h, b[headerLen:n]) {
				return
			}
			b = b[min(align(n), len(b)):]
		}
	}
}

// errorOf reads struct nlmsgerr, or the number at the end of a dump: nil for success.
func errorOf(h header, body []byte) error {
	if len(body) < 4 {
		return nil
	}
	code := int32(binary.NativeEndian.Uint32(body))
	if code == 0 {
		return nil
	}
	err := error(syscall.Errno(-code))
	if h.kind != unix.NLMSG_ERROR || h.flags&unix.NLM_F_ACK_TLVS == 0 {
		return err
	}
	rest := body[4:]
	if h.flags&unix.NLM_F_CAPPED != 0 {
		rest = rest[min(headerLen, len(rest)):]
	} else if len(rest) >= headerLen {
		rest = rest[min(align(int(binary.NativeEndian.Uint32(rest))), len(rest)):]
	}
	for kind, v := range Attributes(rest) {
		if kind == unix.NLMSGERR_ATTR_MSG {
			return fmt.Errorf("%w (%s)", err, String(v))
		}
	}
	return err
}
