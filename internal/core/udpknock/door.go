// Package udpknock is the UDP door: it verifies knocks, drops replays and hands the genuine
// ones on; strangers never get an answer. A datagram of a stranger costs one map lookup and a place
// in a ring of the newest; no cryptography, no memory and no line in a log. At the port of fwknop's
// clients, where nothing tells whose a packet is, one that looks right costs a hash for each of their devices.
package udpknock

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/knock/fwknop"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// Clock tells the time that knocks are judged by; it is zero while nobody knows.
type Clock interface {
	Now() (now time.Time, from string)
}

// Config is what the Door needs besides its devices.
type Config struct {
	Listen        netip.AddrPort // of UDP
	Fwknop        netip.AddrPort // of UDP, for fwknop's clients; zero: they are not heard
	Skew          time.Duration  // how far a knock's time may be from now
	Answer        bool           // answer those who want it
	LocalNetworks func() []netip.Prefix
	Deliver       func(link.Knocked) bool // hands a genuine knock to web; false: nobody listens. Must not block.
	DeliverFwknop func(link.Fwknop) bool  // likewise for packets of fwknop's clients
	Hints         func([]firewall.Hint)   // told whenever the set of valid hints changes. Must not block.
}

const (
	// A verdict that took longer is of no use: the device has knocked again.
	verdictWithin = 10 * time.Second
	maxPending    = 4096
	// The kernel may hold this many bytes of knocks while core is busy.
	receiveBuffer = 4 << 20
	refreshEvery  = 5 * time.Second
)

// Door is safe for concurrent use once Run has been called.
type Door struct {
	cfg   Config
	clock Clock
	conn  *net.UDPConn

	fwknop        *net.UDPConn                   // nil: fwknop's clients are not heard
	fwknopDevices atomic.Pointer[[]fwknopDevice] // likewise

	table  atomic.Pointer[table] // replaced, never changed
	counts [numReasons]atomic.Uint64
	recent recent

	mu       sync.Mutex // guards the following; never taken for a packet that is not genuine
	prefix6  int
	devices  []*device
	keys     map[mark]struct{} // that count; replaced, never changed
	memories map[ownline.DeviceID]*knock.Memory
	seq      uint64 // of the newest knock that was handed on
	pending  map[uint64]pending
}

// table says whose a datagram may be by its first 8 bytes.
type table struct {
	epoch uint64 // the middle one of three
	known bool   // a clock is known
	hints map[knock.HintValue]*device
}

type device struct {
	link.Device
	keys *knock.Keys
	mark mark
}

// pending is a knock whose verdict is awaited.
type pending struct {
	keys    *knock.Keys
	nonce   knock.Nonce
	from    netip.AddrPort
	control []byte // the address that the knock was sent to, so that the answer comes from there
	wanted  bool
	until   time.Time
}

// New makes the door and takes its port, so that it fails before anything else is started.
func New(cfg Config, clock Clock) (*Door, error) {
	conn, err := listen("knock.listen", cfg.Listen)
	if err != nil {
		return nil, err
	}
	d := &Door{
		cfg: cfg, clock: clock, conn: conn, prefix6: 64,
		memories: make(map[ownline.DeviceID]*knock.Memory),
		pending:  make(map[uint64]pending),
	}
	d.table.Store(&table{})
	d.fwknopDevices.Store(new([]fwknopDevice))
	if cfg.Fwknop.IsValid() {
		if d.fwknop, err = listen("knock.fwknop_listen", cfg.Fwknop); err != nil {
			conn.Close()
			return nil, err
		}
	}
	return d, nil
}

func listen(key string, at netip.AddrPort) (*net.UDPConn, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	if err := prepare(conn); err != nil {
		conn.Close()
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return conn, nil
}

// Port returns the UDP port.
func (d *Door) Port() uint16 { return portOf(d.conn) }

func portOf(conn *net.UDPConn) uint16 { return conn.LocalAddr().(*net.UDPAddr).AddrPort().Port() }

// SetDevices replaces the devices whose knocks are taken.
func (d *Door) SetDevices(site ownline.SiteID, prefix6 int, devices []link.Device, fwknopDevices []link.FwknopDevice) error {
	next := make([]*device, 0, len(devices))
	for _, dev := range devices {
		keys, err := knock.DeriveKeys(dev.Secret, site)
		if err != nil {
			return ownline.Invalid("devices", fmt.Sprintf("%s: %v", dev.ID, err))
		}
		next = append(next, &device{Device: dev, keys: keys, mark: markOf(dev.ID, dev.Secret)})
	}
	theirs, err := fwknopMACs(fwknopDevices)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.prefix6, d.devices = prefix6, next
	d.keys = make(map[mark]struct{}, len(next)+len(theirs))
	old := d.memories
	d.memories = make(map[ownline.DeviceID]*knock.Memory, len(next)+len(theirs))
	remember := func(id ownline.DeviceID) {
		if d.memories[id] = old[id]; d.memories[id] == nil {
			d.memories[id] = new(knock.Memory)
		}
	}
	for _, dev := range next {
		remember(dev.ID)
		d.keys[dev.mark] = struct{}{}
	}
	for _, dev := range theirs {
		remember(dev.id)
		d.keys[dev.mark] = struct{}{}
	}
	d.mu.Unlock()
	d.fwknopDevices.Store(&theirs)
	d.rebuild()
	return nil
}

// refresh makes the hints anew if the clock has moved on to another epoch, or is known at
// last.
func (d *Door) refresh() {
	now, _ := d.clock.Now()
	if t := d.table.Load(); t.known != !now.IsZero() || t.epoch != knock.EpochOf(now) {
		d.rebuild()
	}
}

func (d *Door) rebuild() {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, _ := d.clock.Now()
	t := &table{epoch: knock.EpochOf(now), known: !now.IsZero()}
	var hints []firewall.Hint
	if t.known {
		t.hints = make(map[knock.HintValue]*device, 3*len(d.devices))
		start := time.Now()
		for _, dev := range d.devices {
			for epoch := max(t.epoch, 1) - 1; epoch <= t.epoch+1; epoch++ {
				h := dev.keys.Hint(epoch)
				t.hints[h] = dev
				// A hint is taken until the epoch after its own is over.
				end := time.Unix(int64(epoch+2)*int64(knock.Epoch/time.Second), 0)
				hints = append(hints, firewall.Hint{Value: h, Until: start.Add(end.Sub(now))})
			}
		}
	}
	d.table.Store(t)
	d.cfg.Hints(hints)
}

// Devices returns how many there are.
func (d *Door) Devices() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.devices) + len(*d.fwknopDevices.Load())
}

// Run reads knocks until ctx ends or a port can't be read, and closes the ports.
func (d *Door) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() { d.keep(ctx) })
	var other error
	if d.fwknop != nil {
		// A flood at one port leaves the other its own buffer and goroutine.
		wg.Go(func() {
			defer stop()
			var p pace
			other = d.read(ctx, d.fwknop, fwknop.MaxSize, func(b []byte, from netip.AddrPort, _ []byte) {
				began := time.Now()
				d.takeFwknop(b, from)
				if rest := p.worked(began, time.Now()); rest > 0 {
					time.Sleep(rest) // milliseconds, so the end of ctx need not interrupt it
				}
			})
		})
	}
	packet := new(knock.Packet)
	err := d.read(ctx, d.conn, knock.Size, func(b []byte, from netip.AddrPort, control []byte) {
		if len(b) != knock.Size {
			d.drop(badLength, seenFrom(from))
			return
		}
		copy(packet[:], b)
		d.take(packet, from, control)
	})
	stop()
	wg.Wait()
	return errors.Join(err, other)
}

// read has every datagram judged that comes to a port, until ctx ends, and closes the port. Of one
// that is longer than a packet, a byte more comes.
func (d *Door) read(ctx context.Context, conn *net.UDPConn, longest int, take func(b []byte, from netip.AddrPort, control []byte)) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	buf, control := make([]byte, longest+1), make([]byte, 128)
	for {
		n, nc, _, from, err := conn.ReadMsgUDPAddrPort(buf, control)
		if err != nil {
			if errors.Is(err, net.ErrClosed) && ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("read knocks: %w", err)
			}
			// Errors of single datagrams (an ICMP answer to one of ours, say) end nothing.
			d.counts[badRead].Add(1)
			continue
		}
		take(buf[:n], from, control[:nc])
	}
}

// keep does what time asks for.
func (d *Door) keep(ctx context.Context) {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.refresh()
			d.forget(time.Now())
		}
	}
}

func (d *Door) forget(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for seq, p := range d.pending {
		if now.After(p.until) {
			delete(d.pending, seq)
			d.ignore(seq, names[ignored]) // what web says afterwards, if anything, makes it no other
		}
	}
}

// take judges one packet, which it overwrites, and returns what became of it. One that is dropped it
// counts; of one that is accepted web has the word.
func (d *Door) take(p *knock.Packet, from netip.AddrPort, control []byte) reason {
	seen := seenFrom(from)
	why := d.judge(p, from, control, &seen)
	if why != accepted {
		d.drop(why, seen)
	}
	return why
}

func (d *Door) drop(why reason, seen Seen) {
	d.counts[why].Add(1)
	seen.Outcome = names[why]
	d.recent.add(seen)
}

// judge adds to seen what the packet says of itself.
func (d *Door) judge(p *knock.Packet, from netip.AddrPort, control []byte, seen *Seen) reason {
	t := d.table.Load()
	dev, ok := t.hints[knock.HintValue(p[:knock.HintSize])]
	if !ok {
		if !t.known {
			return noClock
		}
		return badHint
	}
	n, err := dev.keys.Open(p)
	if err != nil {
		seen.Hint = dev.ID
		return badSeal
	}
	seen.Device, seen.key = dev.ID, dev.mark
	now, _ := d.clock.Now()
	if now.IsZero() {
		return noClock
	}
	seen.Service, seen.Skew = n.Service, n.Time.Sub(now)
	if !knock.Fresh(n.Time, now, d.cfg.Skew) {
		return badTime
	}
	source := seen.Source
	if why := d.checkSource(dev, n, source); why != accepted {
		return why
	}
	inside, ok := d.place(source)
	if !ok {
		return badSource
	}
	return d.deliverKnock(dev, n, from, inside, control, *seen)
}

// deliverKnock is apart because what it hands on costs memory, which bad packets must not.
func (d *Door) deliverKnock(dev *device, n knock.Knock, from netip.AddrPort, inside bool, control []byte, seen Seen) reason {
	return d.deliver(seen, n.Nonce, n.Time, d.cfg.Skew, pending{
		keys: dev.keys, nonce: n.Nonce, from: from, control: slices.Clone(control), wanted: n.AnswerWanted && d.cfg.Answer,
	}, func(seq uint64) bool {
		return d.cfg.Deliver(link.Knocked{
			Seq: seq, Device: dev.ID, Nonce: n.Nonce[:], Made: n.Time, Source: seen.Source, Claimed: n.Claimed,
			Service: n.Service, Duration: n.Duration, Inside: inside, Skew: d.cfg.Skew,
		})
	})
}

// place reports whether a source is inside, and whether knocks come from there at all.
func (d *Door) place(source netip.Addr) (inside, ok bool) {
	inside = d.inside(source)
	return inside, inside || ownline.KindOf(source) == ownline.SourcePublic
}

// checkSource compares the address that the device claims with the one it has.
func (d *Door) checkSource(dev *device, n knock.Knock, source netip.Addr) reason {
	if !n.Claimed.IsValid() {
		if dev.RequireClaimedSource {
			return noClaim
		}
		return accepted
	}
	if n.Claimed == source {
		return accepted
	}
	d.mu.Lock()
	bits := d.prefix6
	d.mu.Unlock()
	if n.Claimed.Is4() || source.Is4() {
		return badClaim
	}
	if p, err := source.Prefix(bits); err != nil || !p.Contains(n.Claimed) {
		return badClaim
	}
	return accepted
}

func (d *Door) inside(a netip.Addr) bool {
	return slices.ContainsFunc(d.cfg.LocalNetworks(), func(p netip.Prefix) bool { return p.Contains(a) })
}

// deliver hands on a genuine knock of the device that was seen, unless it came before.
func (d *Door) deliver(seen Seen, n knock.Nonce, made time.Time, skew time.Duration, p pending, hand func(seq uint64) bool) reason {
	d.mu.Lock()
	defer d.mu.Unlock()
	memory := d.memories[seen.Device]
	switch {
	case memory == nil:
		return badHint // revoked since the table was looked at
	case len(d.pending) >= maxPending:
		return busy
	}
	if !memory.Accept(n, made, skew) {
		return replay
	}
	d.seq++
	p.until = time.Now().Add(verdictWithin)
	d.pending[d.seq] = p
	if !hand(d.seq) {
		delete(d.pending, d.seq)
		return noWeb
	}
	seen.Outcome, seen.seq = Waiting, d.seq
	d.recent.add(seen)
	return accepted
}

// ignore takes note of a knock of which its sender learns nothing, and why.
func (d *Door) ignore(seq uint64, why string) {
	d.counts[ignored].Add(1) // whatever the reason is: web counts it by that
	d.recent.judged(seq, why)
}

// Ignore ends the wait for web's word on a knock: it is not answered, for a reason that Recent tells.
func (d *Door) Ignore(seq uint64, why string) {
	if _, ok := d.settle(seq); ok {
		d.ignore(seq, why)
	}
}

func (d *Door) settle(seq uint64) (pending, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.pending[seq]
	delete(d.pending, seq)
	return p, ok
}

// Verdict sends the answer to a knock, if its device wants one; why is web's word on a refusal. A knock is answered once, and
// not when the verdict comes late: ErrNotFound.
func (d *Door) Verdict(seq uint64, status knock.Status, why string, sessions int, expires time.Time) error {
	p, ok := d.settle(seq)
	if ok {
		became, outcome := verdict(status, why), status.String()
		d.counts[became].Add(1)
		if became == refusedPolicy || became == notGranted { // as all that counts them names them
			outcome = names[became]
		}
		d.recent.judged(seq, outcome)
	}
	if !ok || time.Now().After(p.until) {
		return ownline.NotFound("knock", fmt.Sprint(seq))
	}
	if !p.wanted {
		return nil
	}
	now, _ := d.clock.Now()
	var nonce knock.Nonce
	rand.Read(nonce[:]) // never fails: crypto/rand crashes the program instead
	packet := p.keys.SealAnswer(p.nonce, nonce, knock.Answer{
		Status: status, Sessions: uint16(min(sessions, 0xffff)), Time: now,
		Source: p.from.Addr().Unmap().WithZone(""), Expires: expires,
	})
	if _, _, err := d.conn.WriteMsgUDPAddrPort(packet[:], replyControl(p.control), p.from); err != nil {
		return fmt.Errorf("answer a knock: %w", err)
	}
	return nil
}
