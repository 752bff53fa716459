package bed

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// FlowOptions says how a flow is watched.
type FlowOptions struct {
	Every time.Duration // between two pings; 0: 5 ms
	Quiet time.Duration // a ping unanswered for so long is a cut; 0: 250 ms
}

// Cut is how and when a flow was cut.
type Cut struct {
	// At is when the cut was seen; for Silent, when the first ping that stayed unanswered
	// was sent.
	At   time.Time
	Last time.Time // the last echo before it
	How  State     // Reset, Closed, Refused, Unreachable, Silent or Failed
	Err  error     // nil for Silent
}

// FlowReport is what a flow has seen so far. Times are of this process's clock.
type FlowReport struct {
	Echoes      int
	Last        time.Time // the last echo; never zero
	Cut         *Cut      // the first cut; nil while there is none
	Revived     time.Time // the first echo after a silent cut; zero if there was none
	Unasked     int       // pushed by the server, see TCPEcho.Push
	LastUnasked time.Time
}

// Flow is an established TCP connection or UDP flow to an echo server, pinged every few
// milliseconds. After a cut without an answer it goes on pinging, to see whether it revives.
type Flow struct {
	conn net.Conn
	opts FlowOptions

	cut  chan struct{} // closed at the first cut
	stop chan struct{}
	once sync.Once
	wg   sync.WaitGroup

	mu      sync.Mutex
	report  FlowReport
	sent    uint64      // number of the newest ping
	echoed  uint64      // number of the newest echo
	pending []time.Time // when the pings after echoed were sent; empty after a cut
}

// StartFlow opens a flow over network "tcp" or "udp" to an echo server, and returns when the
// first echo is back. ctx bounds that only; the flow goes on until Stop or the bed's Close.
func (h *Host) StartFlow(ctx context.Context, network string, to netip.AddrPort, opts FlowOptions) (*Flow, error) {
	if opts.Every == 0 {
		opts.Every = 5 * time.Millisecond
	}
	if opts.Quiet == 0 {
		opts.Quiet = 250 * time.Millisecond
	}
	var d net.Dialer
	if network != "tcp" {
		d.Control = reportICMP
	}
	conn, err := h.dialWith(ctx, d, network, netip.AddrPort{}, to)
	if err != nil {
		return nil, fmt.Errorf("start flow: %w", err)
	}
	f := &Flow{conn: conn, opts: opts, cut: make(chan struct{}), stop: make(chan struct{})}
	first := make(chan struct{})
	f.wg.Go(func() { f.read(first) })
	f.wg.Go(f.ping)
	if err := h.bed.own(func() error { f.Stop(); return nil }); err != nil {
		return nil, err
	}
	select {
	case <-first:
		return f, nil
	case <-f.cut:
		c := f.Stop().Cut
		return nil, errors.Join(fmt.Errorf("start flow to %s: %s", to, c.How), c.Err)
	case <-ctx.Done():
		f.Stop()
		return nil, fmt.Errorf("start flow to %s: no echo: %w", to, ctx.Err())
	}
}

// Local returns the client's address and port.
func (f *Flow) Local() netip.AddrPort { return addrPort(f.conn.LocalAddr()) }

// Report returns what the flow has seen so far.
func (f *Flow) Report() FlowReport {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.report
}

// WaitCut waits until the flow is cut, or ctx ends.
func (f *Flow) WaitCut(ctx context.Context) (Cut, error) {
	select {
	case <-f.cut:
		return *f.Report().Cut, nil
	case <-ctx.Done():
		return Cut{}, fmt.Errorf("the flow still runs: %w", ctx.Err())
	}
}

// Stop ends the flow and returns what it has seen.
func (f *Flow) Stop() FlowReport {
	f.once.Do(func() {
		close(f.stop)
		_ = f.conn.Close() // whatever state it is in, it is over
		f.wg.Wait()
	})
	return f.Report()
}

// A frame is a ping: a mark, then its number. What does not begin with the mark was not
// asked for.
var frameMark = [8]byte([]byte("bed ping"))

func (f *Flow) ping() {
	tick := time.NewTicker(f.opts.Every)
	defer tick.Stop()
	for {
		f.mu.Lock()
		f.sent++
		n, now := f.sent, time.Now()
		if f.report.Cut == nil {
			f.pending = append(f.pending, now)
		}
		f.mu.Unlock()
		frame := binary.BigEndian.AppendUint64(append([]byte(nil), frameMark[:]...), n)
		if _, err := f.conn.Write(frame); err != nil && !f.broken(err) {
			return
		}
		select {
		case <-f.stop:
			return
		case now = <-tick.C:
		}
		f.mu.Lock()
		if len(f.pending) > 0 && now.Sub(f.pending[0]) > f.opts.Quiet {
			f.cutLocked(f.pending[0], Silent, nil)
		}
		f.mu.Unlock()
	}
}

func (f *Flow) read(first chan struct{}) {
	buf := make([]byte, frameSize)
	_, datagrams := f.conn.(*net.UDPConn)
	for {
		var err error
		if datagrams {
			_, err = f.conn.Read(buf)
		} else {
			_, err = io.ReadFull(f.conn, buf)
		}
		if err != nil {
			if !f.broken(err) {
				return
			}
			continue
		}
		if f.got(buf) == 1 {
			close(first)
		}
	}
}

// got counts a frame and returns the number of echoes so far.
func (f *Flow) got(frame []byte) int {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if [8]byte(frame[:8]) != frameMark {
		f.report.Unasked++
		f.report.LastUnasked = now
		return 0
	}
	n := binary.BigEndian.Uint64(frame[8:])
	if n > f.echoed {
		f.pending = f.pending[min(uint64(len(f.pending)), n-f.echoed):]
		f.echoed = n
	}
	f.report.Echoes++
	f.report.Last = now
	if c := f.report.Cut; c != nil && f.report.Revived.IsZero() {
		f.report.Revived = now
	}
	return f.report.Echoes
}

// broken notes an error of the socket. It reports whether the flow goes on: one over UDP
// does after an ICMP error.
func (f *Flow) broken(err error) (goesOn bool) {
	if errors.Is(err, net.ErrClosed) {
		return false // by Stop
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cutLocked(time.Now(), stateOf(err), err)
	_, datagrams := f.conn.(*net.UDPConn)
	return datagrams
}

// cutLocked notes the first cut. The caller holds mu.
func (f *Flow) cutLocked(at time.Time, how State, err error) {
	if f.report.Cut != nil {
		return
	}
	f.report.Cut = &Cut{At: at, Last: f.report.Last, How: how, Err: err}
	f.pending = nil
	close(f.cut)
}
