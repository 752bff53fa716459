package bed

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Capture records the packets of one interface, both directions, from the moment it is
// made.
type Capture struct {
	file   *os.File
	filter Filter
	buf    []byte
}

// Capture starts to record the packets of an interface that the filter lets through. The
// kernel keeps a few thousand of them until they are read.
func (h *Host) Capture(link string, filter Filter) (*Capture, error) {
	c := &Capture{filter: filter, buf: make([]byte, 1<<16)}
	err := h.Do(func() error {
		ifc, err := net.InterfaceByName(link)
		if err != nil {
			return err
		}
		// SOCK_DGRAM: without the Ethernet header. Protocol 0: nothing until bound.
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		c.file = os.NewFile(uintptr(fd), "capture of "+link)
		// FORCE needs rights over the initial user namespace; without, it is the usual limit.
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20) != nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 8<<20)
		}
		all := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
		return os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrLinklayer{
			Protocol: all, Ifindex: ifc.Index,
		}))
	})
	if err == nil {
		err = h.bed.own(c.Close)
	} else if c.file != nil {
		err = errors.Join(err, c.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("capture on %s of %s: %w", link, h.Name, err)
	}
	return c, nil
}

// Next waits for the next packet that the filter lets through. Only one goroutine may call
// it or Drain at a time.
func (c *Capture) Next(ctx context.Context) (Packet, error) {
	if err := c.file.SetReadDeadline(time.Time{}); err != nil {
		return Packet{}, err
	}
	release := context.AfterFunc(ctx, func() { _ = c.file.SetReadDeadline(time.Unix(1, 0)) })
	defer release()
	for {
		p, err := c.read()
		if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
			err = fmt.Errorf("no packet: %w", ctx.Err())
		}
		if err != nil || c.filter.match(p) {
			return p, err
		}
	}
}

// Drain returns the packets that have been recorded and not been read yet, without waiting
// for more.
func (c *Capture) Drain() ([]Packet, error) {
	if err := c.file.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	raw, err := c.file.SyscallConn()
	if err != nil {
		return nil, err
	}
	var packets []Packet
	for {
		var n int
		rerr := raw.Read(func(fd uintptr) bool {
			n, err = unix.Read(int(fd), c.buf)
			return true
		})
		switch {
		case rerr != nil:
			return packets, rerr
		case errors.Is(err, unix.EAGAIN):
			return packets, nil
		case err != nil:
			return packets, os.NewSyscallError("read", err)
		}
		if p := c.packet(n); c.filter.match(p) {
			packets = append(packets, p)
		}
	}
}

// Close ends the capture. It may be called more than once.
func (c *Capture) Close() error {
	if err := c.file.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

func (c *Capture) read() (Packet, error) {
	n, err := c.file.Read(c.buf)
	if err != nil {
		return Packet{}, err
	}
	return c.packet(n), nil
}

// packet is what the first n bytes of the buffer hold.
func (c *Capture) packet(n int) Packet {
	p := parsePacket(c.buf[:n])
	p.At = time.Now()
	return p
}
