package bed

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// message is struct mmsghdr of sendmmsg(2).
type message struct {
	header unix.Msghdr
	length uint32
}

const (
	forgeBatch = 64
	ipHeader   = 20
	udpHeader  = 8
)

// Forge sends datagrams of IPv4 whose sources it makes up, until ctx ends, and returns how many left
// the host.
func (h *Host) Forge(ctx context.Context, f Forgery) (uint64, error) {
	if !f.To.Addr().Is4() || len(f.Payloads) == 0 {
		return 0, errors.New("only what is there can be sent, over IPv4")
	}
	var sent atomic.Uint64
	var wg sync.WaitGroup
	errs := make([]error, max(f.Senders, 1))
	for i := range errs {
		var fd int
		err := h.Do(func() (err error) {
			fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
			return os.NewSyscallError("socket", err)
		})
		if err != nil {
			errs[i] = err
			break
		}
		wg.Go(func() { errs[i] = f.send(ctx, fd, &sent); _ = unix.Close(fd) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return sent.Load(), fmt.Errorf("forge on %s: %w", h.Name, err)
	}
	return sent.Load(), nil
}

// send is one sender. Of a packet only source, port and payload change.
func (f Forgery) send(ctx context.Context, fd int, sent *atomic.Uint64) error {
	var (
		packets [forgeBatch][]byte
		vectors [forgeBatch]unix.Iovec
		all     [forgeBatch]message
		pin     runtime.Pinner
		to      = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: f.To.Addr().As4()}
	)
	defer pin.Unpin()
	pin.Pin(&to)
	longest, sums := 0, make([]uint32, len(f.Payloads))
	for i, p := range f.Payloads {
		longest, sums[i] = max(longest, len(p)), sumOf(p)
	}
	fixed := sumOf(to.Addr[:]) + UDP + uint32(f.To.Port()) // of the checksum
	for i := range packets {
		b := make([]byte, ipHeader+udpHeader+longest)
		b[0], b[8], b[9] = 0x45, 60, UDP
		copy(b[16:], to.Addr[:])
		binary.BigEndian.PutUint16(b[22:], f.To.Port())
		packets[i] = b
		pin.Pin(&b[0])
		vectors[i].Base = &b[0]
		pin.Pin(&vectors[i])
		all[i].header = unix.Msghdr{Name: (*byte)(unsafe.Pointer(&to)), Namelen: unix.SizeofSockaddrInet4, Iov: &vectors[i]}
		all[i].header.SetIovlen(1)
	}
	began, count := time.Now(), 0
	for n := rand.Int(); ctx.Err() == nil; {
		batch := forgeBatch
		if f.Rate > 0 {
			batch = min(batch, int(time.Since(began).Seconds()*float64(f.Rate))-count)
			if batch <= 0 {
				time.Sleep(time.Millisecond)
				continue
			}
		}
		for i := range batch {
			n++
			k := n % len(f.Payloads)
			b, p := packets[i], f.Payloads[k]
			size := ipHeader + udpHeader + copy(b[ipHeader+udpHeader:], p)
			source := f.Source(rand.Uint32()).As4()
			copy(b[12:16], source[:])
			binary.BigEndian.PutUint16(b[2:], uint16(size))
			port, length := uint16(1024+n%60000), uint16(udpHeader+len(p))
			binary.BigEndian.PutUint16(b[20:], port)
			binary.BigEndian.PutUint16(b[24:], length)
			binary.BigEndian.PutUint16(b[26:], checksum(fixed+sums[k]+sumOf(source[:])+uint32(port)+2*uint32(length)))
			vectors[i].SetLen(size)
		}
		done, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&all[0])), uintptr(batch), 0, 0, 0)
		switch errno {
		case 0:
			count += int(done)
			sent.Add(uint64(done))
		case unix.EINTR, unix.EAGAIN, unix.ENOBUFS, unix.EPERM, unix.ECONNREFUSED, unix.EHOSTUNREACH: // what came back is no reason to end
		default:
			return os.NewSyscallError("sendmmsg", errno)
		}
	}
	return nil
}

// sumOf adds a payload up for the checksum of UDP (RFC 1071).
func sumOf(b []byte) (sum uint32) {
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	return sum
}

func checksum(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	if sum == 0xffff {
		return 0xffff // 0 would be none
	}
	return ^uint16(sum)
}
