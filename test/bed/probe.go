package bed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// State is how a probe or a flow ended.
type State string

// The states. Which of them a probe can return is said there.
const (
	Open        State = "open"        // TCP: connected; UDP: an answer came
	Refused     State = "refused"     // TCP: a reset for the SYN; either: ICMP port unreachable
	Reset       State = "reset"       // TCP: the connection was there and has been reset
	Closed      State = "closed"      // TCP: the other end has closed the connection in order
	Unreachable State = "unreachable" // ICMP: no route, no such host, prohibited
	Silent      State = "silent"      // nothing came in time
	Failed      State = "failed"      // the probe itself could not be made; see Err
)

// Result is what a probe has seen.
type Result struct {
	State  State
	Took   time.Duration // from the first packet to the answer, or to giving up
	Answer []byte        // UDP: the first datagram that came back
	Err    error         // the error that State was read from; nil when Open
}

// String returns the state, and the error when the probe itself failed.
func (r Result) String() string {
	if r.State == Failed {
		return fmt.Sprintf("%s: %v", r.State, r.Err)
	}
	return string(r.State)
}

// ConnectTCP tries a full TCP connection and closes it again: Open, Refused, Reset,
// Unreachable, Silent or Failed. Unreachable may take the whole timeout: the kernel keeps
// such an error to itself while it tries again.
func (h *Host) ConnectTCP(to netip.AddrPort, timeout time.Duration) Result {
	var soft softError
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	start := time.Now()
	conn, err := h.dialWith(ctx, net.Dialer{Control: soft.watch}, "tcp", netip.AddrPort{}, to)
	took := time.Since(start)
	if kept := soft.end(); err != nil && stateOf(err) == Silent && kept != nil {
		err = kept
	}
	if conn != nil {
		_ = conn.Close() // nothing was written, so there is nothing to lose
	}
	return Result{State: stateOf(err), Took: took, Err: err}
}

// ProbeUDP sends one datagram and waits for an answer: Open, Refused, Unreachable, Silent or
// Failed.
func (h *Host) ProbeUDP(to netip.AddrPort, payload []byte, timeout time.Duration) Result {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	start := time.Now()
	conn, err := h.dialWith(ctx, net.Dialer{Control: reportICMP}, "udp", netip.AddrPort{}, to)
	if err != nil {
		return Result{State: stateOf(err), Err: err}
	}
	defer conn.Close()
	buf := make([]byte, 1<<16)
	n := 0
	err = conn.SetDeadline(start.Add(timeout))
	if err == nil {
		_, err = conn.Write(payload)
	}
	if err == nil {
		n, err = conn.Read(buf)
	}
	return Result{State: stateOf(err), Took: time.Since(start), Answer: buf[:n], Err: err}
}

// stateOf reads what the network did from the error of a socket.
func stateOf(err error) State {
	switch {
	case err == nil:
		return Open
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return Reset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return Closed
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH),
		errors.Is(err, syscall.EACCES): // EACCES: ICMPv6 "administratively prohibited"
		return Unreachable
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, syscall.ETIMEDOUT):
		return Silent
	}
	var nerr net.Error
	if errors.As(err, &nerr) && nerr.Timeout() {
		return Silent
	}
	return Failed
}

// Sweep is what a sweep has found, port by port.
type Sweep map[uint16]Result

// Ports returns the ports found in a state, in no order.
func (s Sweep) Ports(in State) []uint16 {
	var ports []uint16
	for p, r := range s {
		if r.State == in {
			ports = append(ports, p)
		}
	}
	return ports
}

// SweepTCP tries a full TCP connection to each port, at most parallel at a time, each for at
// most timeout. When ctx ends, the ports not yet tried are missing from the result.
func (h *Host) SweepTCP(ctx context.Context, to netip.Addr, ports []uint16, parallel int, timeout time.Duration) Sweep {
	next := make(chan uint16)
	found := make(Sweep, len(ports))
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range max(1, min(parallel, len(ports))) {
		wg.Go(func() {
			for port := range next {
				r := h.ConnectTCP(netip.AddrPortFrom(to, port), timeout)
				mu.Lock()
				found[port] = r
				mu.Unlock()
			}
		})
	}
	for _, port := range ports {
		if ctx.Err() != nil {
			break
		}
		next <- port
	}
	close(next)
	wg.Wait()
	return found
}
