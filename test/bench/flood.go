package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

const (
	bareLoopPort = 54999
	byPassPort   = 54998 // garbage to it comes to the knock port behind the filter
	absorbFor    = 3 * time.Second
	repeatAfter  = 100 * time.Millisecond
)

// garbage is 128 random bytes each, and shapedGarbage looks like fwknop's packets.
func garbage(shaped bool) [][]byte {
	all := make([][]byte, 256)
	for i := range all {
		all[i] = make([]byte, knock.Size)
		if rand.Read(all[i]); shaped {
			all[i] = append([]byte{"89+/"[i%4]}, base64.RawStdEncoding.EncodeToString(append(all[i], all[i][:40]...))...)
		}
	}
	return all
}

// flooding has the stranger flood an address from everybody's, as fast as the machine can, while a
// function runs, and returns how many a second it sent.
func flooding(ctx context.Context, stranger *bed.Host, to netip.AddrPort, payloads [][]byte, during func() error) (perSecond float64, _ error) {
	flood, stop := context.WithCancel(ctx)
	defer stop()
	var sent uint64
	var failed error
	var wg sync.WaitGroup
	began := time.Now()
	wg.Go(func() {
		sent, failed = stranger.Forge(flood, bed.Forgery{To: to, Payloads: payloads, Source: bed.Everybody, Senders: runtime.NumCPU()})
	})
	err := during()
	stop()
	wg.Wait()
	return float64(sent) / time.Since(began).Seconds(), errors.Join(err, failed)
}

// harm is what a flood did to a program and to those who want to be let in.
type harm struct {
	flood float64 // packets a second
	cpu   float64 // share of one processor, in percent
	let   float64 // share of the honest who were let in within a second, in percent
	took  []time.Duration
	grown float64 // MB of memory more than before
	ended bool    // the program is no longer there
}

// suffer has somebody honest try once a second, n times, during a flood.
func suffer(ctx context.Context, program rival, n int, flood func(during func() error) (float64, error), try func() (time.Duration, bool, error)) (h harm, err error) {
	before, err := program.rss()
	if err != nil {
		return h, err
	}
	h.flood, err = flood(func() error {
		time.Sleep(time.Second) // it is under way
		spent, err := program.cpu()
		if err != nil {
			return err
		}
		began, in := time.Now(), 0
		for i := range n {
			time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second)))
			took, ok, err := try()
			if err != nil || ctx.Err() != nil {
				return errors.Join(err, ctx.Err())
			}
			if ok {
				in++
				h.took = append(h.took, took)
			}
		}
		time.Sleep(time.Until(began.Add(time.Duration(n) * time.Second)))
		h.let = 100 * float64(in) / float64(n)
		after, err := program.cpu()
		h.cpu = 100 * (after - spent) / time.Since(began).Seconds()
		return err
	})
	var after float64
	if err == nil {
		after, err = program.rss()
		h.grown = after - before
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		h.ended, err = true, nil
	}
	return h, err
}

func (b *bench) report(name string, h harm) {
	b.add(name+"_per_s", h.flood, "1/s")
	b.add(name+"_let_in_percent", h.let, "%")
	if h.ended {
		b.add(name+"_ended", 1, "times")
		return
	}
	b.add(name+"_cpu_percent", h.cpu, "% of one")
	if len(h.took) > 0 {
		b.add(name+"_p50_ms", percentile(h.took, 0.5), "ms")
	}
	b.add(name+"_memory_grown_mb", h.grown, "MB")
}

// opens sends a packet, again and again if it is to be repeated, and tries to connect until it works,
// at most for a while. It tells how long that took, and whether it worked.
func opens(ctx context.Context, send func() error, open func() bool, within time.Duration, repeat bool) (time.Duration, bool, error) {
	began := time.Now()
	if err := send(); err != nil {
		return 0, false, err
	}
	for sent := began; !open(); {
		if time.Since(began) > within || ctx.Err() != nil {
			return 0, false, ctx.Err()
		}
		if repeat && time.Since(sent) > repeatAfter {
			sent = time.Now()
			if err := send(); err != nil {
				return 0, false, err
			}
		}
		time.Sleep(200 * time.Microsecond)
	}
	return time.Since(began), true, nil
}

// flood measures what floods of garbage do: how much of it is absorbed, what it costs, and whether
// the honest get in; core with its filter in the kernel and without, and fwknopd, in one run. And
// how long the honest take while all is calm.
func (b *bench) flood(ctx context.Context) error {
	missing := fwknopThere()
	if err := b.floodCore(ctx, missing == nil); err != nil {
		return err
	}
	if missing != nil {
		fmt.Fprintln(os.Stderr, "not compared with fwknopd:", missing)
		return nil
	}
	return b.floodFwknopd(ctx)
}

// floodRig is Ownline on a bed, with a native device and one of fwknop's clients.
type floodRig struct {
	*world.World
	core    rival
	device  *world.Device
	conn    net.Conn // native knocks
	packets *net.UDPConn
	client  fwknopClient
	door    netip.AddrPort
}

func (b *bench) floodCore(ctx context.Context, fwknop bool) error {
	r, err := b.newFloodRig(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	defer r.conn.Close()
	defer r.packets.Close()

	calm := map[string]func() (time.Duration, bool, error){"ownline": r.native(ctx)}
	if fwknop {
		calm["ownline_fwknop"] = r.fwknop(ctx, false)
	}
	for name, try := range calm {
		if err := b.calm(name, try); err != nil {
			return err
		}
	}
	if err := b.absorb(ctx, r); err != nil {
		return err
	}
	n := b.tries(60)
	flood := func(to netip.AddrPort, payloads [][]byte) func(func() error) (float64, error) {
		return func(during func() error) (float64, error) { return flooding(ctx, r.Bed.Stranger, to, payloads, during) }
	}
	h, err := suffer(ctx, r.core, n, flood(r.KnockAddr(false), garbage(false)), r.answered)
	if err != nil {
		return err
	}
	b.report("flood_core", h)
	if h, err = suffer(ctx, r.core, n, flood(netip.AddrPortFrom(r.Bed.Router.IPv4, byPassPort), garbage(false)), r.answered); err != nil {
		return err
	}
	b.report("flood_core_no_filter", h)
	if !fwknop {
		return nil
	}
	shaped := flood(netip.AddrPortFrom(r.Bed.Router.IPv4, fwknopPort), garbage(true))
	if h, err = suffer(ctx, r.core, n/2, shaped, r.fwknop(ctx, false)); err != nil {
		return err
	}
	b.report("flood_core_fwknop_shaped", h)
	if h, err = suffer(ctx, r.core, n/4, shaped, r.fwknop(ctx, true)); err != nil {
		return err
	}
	b.report("flood_core_fwknop_shaped_repeated", h)
	return nil
}

// tries is n, or a few.
func (b *bench) tries(n int) int {
	if b.quick {
		return n / 6
	}
	return n
}

// calm measures how long it takes to get in when nobody floods, at a pace that one device is allowed.
func (b *bench) calm(name string, try func() (time.Duration, bool, error)) error {
	var times []time.Duration
	for range b.tries(60) {
		took, ok, err := try()
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("%s: a packet opened nothing", name)
		}
		times = append(times, took)
		time.Sleep(100 * time.Millisecond)
	}
	b.add("calm_"+name+"_packet_to_connect_p50_ms", percentile(times, 0.5), "ms")
	return nil
}

func (b *bench) newFloodRig(ctx context.Context) (_ *floodRig, err error) {
	w, err := world.New(ctx, world.Options{Programs: b.programs, Quiet: true, CoreYAML: fmt.Sprintf("knock: {fwknop_listen: \"[::]:%d\"}\n", fwknopPort)})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	r := &floodRig{World: w, core: rival{name: "core", pid: w.Core.Pid()}, door: netip.AddrPortFrom(w.Bed.Router.IPv4, 20443)}
	service, err := w.API.Create(ctx, "/services", world.Map{
		"site": w.Site, "name": "echo", "kind": "forward", "transport": "tcp",
		"target": netip.AddrPortFrom(w.Bed.Lan.IPv4, bed.EchoPort).String(),
	})
	if err != nil {
		return nil, err
	}
	var me struct{ ID string }
	if err := w.API.Call(ctx, "GET", "/me", nil, &me); err != nil {
		return nil, err
	}
	if _, err := w.API.Create(ctx, "/grants", world.Map{"user": me.ID, "service": service, "automatic": true, "public_port": r.door.Port()}); err != nil {
		return nil, err
	}
	if r.device, err = w.NewDevice(ctx, "bench", nil); err != nil {
		return nil, err
	}
	if r.client, err = newFwknopClient(ctx, w); err != nil {
		return nil, err
	}
	if r.conn, err = w.Bed.Client1.Dial("udp", w.KnockAddr(false), time.Second); err != nil {
		return nil, err
	}
	if r.packets, err = w.Bed.Client1.ListenUDP(netip.AddrPortFrom(w.Bed.Client1.IPv4, 0)); err != nil {
		return nil, err
	}
	if err := w.Core.Until(ctx, "answer a knock", func(context.Context) error {
		_, err := r.device.SendOn(r.conn, r.device.Knock(), 300*time.Millisecond)
		return err
	}); err != nil {
		return nil, err
	}
	// What comes to the other port is led to the knock port behind the filter, which is told nothing.
	return r, run(ctx, w.Bed.Router, "nft", fmt.Sprintf(
		"table inet bench { chain bypass { type filter hook prerouting priority -290; udp dport %d notrack udp dport set %d; }; }", byPassPort, world.KnockPort))
}

// answered knocks once and waits a second for the answer.
func (r *floodRig) answered() (time.Duration, bool, error) {
	began := time.Now()
	_, err := r.device.SendOn(r.conn, r.device.Knock(), time.Second)
	if errors.Is(err, world.ErrNoAnswer) {
		return 0, false, nil
	}
	return time.Since(began), err == nil, err
}

func (r *floodRig) native(ctx context.Context) func() (time.Duration, bool, error) {
	return func() (time.Duration, bool, error) {
		p := r.device.Seal(r.device.Knock())
		return r.enter(ctx, func() error { _, err := r.conn.Write(p[:]); return err }, false)
	}
}

func (r *floodRig) fwknop(ctx context.Context, repeat bool) func() (time.Duration, bool, error) {
	return func() (time.Duration, bool, error) {
		p, err := r.client.packet(ctx, r.Bed.Client1, "-A", fmt.Sprintf("tcp/%d", r.door.Port()), "-s", "-D", r.door.Addr().String())
		if err != nil {
			return 0, false, err
		}
		return r.enter(ctx, func() error {
			_, err := r.packets.WriteToUDPAddrPort(p, netip.AddrPortFrom(r.door.Addr(), fwknopPort))
			return err
		}, repeat)
	}
}

// enter gets in from outside, within a second.
func (r *floodRig) enter(ctx context.Context, send func() error, repeat bool) (time.Duration, bool, error) {
	if err := r.API.Call(ctx, "DELETE", "/sessions?all=true", nil, nil); err != nil {
		return 0, false, err
	}
	open := func() bool { return r.Bed.Client1.ConnectTCP(r.door, 50*time.Millisecond).State == bed.Open }
	if open() {
		return 0, false, errors.New("the door is open without a knock")
	}
	return opens(ctx, send, open, time.Second, repeat)
}

// absorb measures how much garbage comes to its end, in the kernel or in core, beside a program that
// does nothing but read.
func (b *bench) absorb(ctx context.Context, r *floodRig) error {
	var read atomic.Uint64
	u, err := r.Bed.Router.ListenUDP(netip.AddrPortFrom(r.Bed.Router.IPv4, bareLoopPort))
	if err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, knock.Size+1)
		for {
			if _, _, err := u.ReadFromUDPAddrPort(buf); errors.Is(err, net.ErrClosed) {
				return
			}
			read.Add(1)
		}
	}()
	defer func() { u.Close(); <-done }()
	counted := func(reasons ...string) func() (uint64, error) {
		return func() (n uint64, err error) {
			out, err := r.CoreCommand(ctx, "status", "--json")
			if err != nil {
				return 0, err
			}
			var s struct {
				Knocks struct{ Dropped map[string]uint64 }
			}
			err = json.Unmarshal(out, &s)
			for _, reason := range reasons {
				n += s.Knocks.Dropped[reason]
			}
			return n, err
		}
	}
	var bare float64
	for _, t := range []struct {
		name  string
		port  uint16
		count func() (uint64, error)
	}{
		{"bare_read_loop", bareLoopPort, func() (uint64, error) { return read.Load(), nil }},
		{"core", world.KnockPort, counted("kernel_garbage", "unknown_hint", "length")},
		{"core_no_filter", byPassPort, counted("unknown_hint", "length")},
	} {
		var rates, sents []float64
		for range b.tries(6)/2 + 1 {
			before, err := t.count()
			if err != nil {
				return err
			}
			began := time.Now()
			sent, err := flooding(ctx, r.Bed.Stranger, netip.AddrPortFrom(r.Bed.Router.IPv4, t.port), garbage(false), func() error {
				time.Sleep(absorbFor)
				return nil
			})
			if err != nil {
				return err
			}
			took := time.Since(began).Seconds()
			after, err := t.count()
			if err != nil {
				return err
			}
			rates, sents = append(rates, float64(after-before)/took), append(sents, sent)
		}
		b.add("absorb_"+t.name+"_sent_per_s", median(sents), "1/s")
		if bare == 0 {
			bare = median(rates)
			b.add("absorb_"+t.name+"_per_s", bare, "1/s")
			continue
		}
		b.compare("absorb_"+t.name+"_per_s", median(rates), "1/s", "bare_read_loop", median(rates)/bare)
	}
	return nil
}

// fwknopClient is a device that is one of fwknop's clients.
type fwknopClient struct{ dir, name string }

func newFwknopClient(ctx context.Context, w *world.World) (c fwknopClient, err error) {
	var got struct {
		Client struct{ Stanza string } `json:"fwknop_client"`
	}
	if err := w.API.Call(ctx, "POST", "/devices", world.Map{"site": w.Site, "name": "fwknop", "fwknop": "sha256"}, &got); err != nil {
		return c, err
	}
	for line := range strings.Lines(got.Client.Stanza) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "[") {
			c.name = strings.Trim(line, "[]")
		}
	}
	c.dir = w.Path("fwknop")
	if err := os.Mkdir(c.dir, 0o700); err != nil {
		return c, err
	}
	return c, os.WriteFile(c.dir+"/rc", []byte(got.Client.Stanza), 0o600)
}

// packet has the client program make a packet, and does not send it.
func (c fwknopClient) packet(ctx context.Context, h *bed.Host, args ...string) ([]byte, error) {
	file := c.dir + "/packet"
	return madePacket(ctx, h, file, append([]string{"--rc-file", c.dir + "/rc", "--no-home-dir", "--save-args-file", c.dir + "/args", "-n", c.name}, args...))
}

// floodFwknopd does to fwknopd what was done to core.
func (b *bench) floodFwknopd(ctx context.Context) (err error) {
	w, err := bed.New(ctx)
	if err != nil {
		return err
	}
	r := newFwknopRig(w)
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.start(ctx, "ENABLE_UDP_SERVER Y;\n"); err != nil {
		return err
	}
	try := func(repeat bool) func() (time.Duration, bool, error) {
		return func() (time.Duration, bool, error) {
			if err := r.shut(ctx); err != nil {
				return 0, false, err
			}
			packet, err := r.packet(ctx)
			if err != nil {
				return 0, false, err
			}
			return opens(ctx, func() error { return r.send(packet) }, r.open, time.Second, repeat)
		}
	}
	if err := b.calm("fwknopd", try(false)); err != nil {
		return err
	}
	n := b.tries(60)
	for _, f := range []struct {
		name           string
		shaped, repeat bool
		n              int
	}{{"flood_fwknopd", false, false, n}, {"flood_fwknopd_shaped", true, false, n / 2}, {"flood_fwknopd_shaped_repeated", true, true, n / 4}} {
		h, err := suffer(ctx, r.server, f.n, func(during func() error) (float64, error) {
			return flooding(ctx, w.Stranger, netip.AddrPortFrom(w.Router.IPv4, fwknopPort), garbage(f.shaped), during)
		}, try(f.repeat))
		if err != nil {
			return err
		}
		b.report(f.name, h)
		if h.ended {
			return nil
		}
	}
	return nil
}
