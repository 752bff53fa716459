// Package demo plays the main job of Ownline with real packets on a bed, checks every step,
// and tells the story as it happens.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

// Options say how the demo is played.
type Options struct {
	Programs world.Programs
	Out      io.Writer // the story
	Exit     bool      // end after the story; else serve the pages of web until ctx ends
}

// Run plays the story. The error is that of the first step that did not hold.
func Run(ctx context.Context, o Options) error {
	d := &demo{Options: o, start: time.Now()}
	if err := d.play(ctx); err != nil {
		return err
	}
	d.say("All %d steps held, in %v.", d.steps, time.Since(d.start).Round(time.Millisecond))
	if o.Exit {
		return d.w.Close()
	}
	return errors.Join(d.serve(ctx), d.w.Close())
}

type demo struct {
	Options
	start time.Time
	w     *world.World
	steps int

	service string // the nas
}

func (d *demo) say(format string, args ...any) {
	fmt.Fprintf(d.Out, "%6.2f s  %s\n", time.Since(d.start).Seconds(), fmt.Sprintf(format, args...))
}

// step says what was seen to hold, or fails with what was not.
func (d *demo) step(held bool, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	if !held {
		return fmt.Errorf("this did not hold: %s", what)
	}
	d.steps++
	d.say("✓ %s", what)
	return nil
}

const (
	fixedPort = 20443
	streaming = 3 * time.Second // how long the download's session lasts
)

func (d *demo) play(ctx context.Context) (err error) {
	d.say("Building an internet in network namespaces: two clients, a stranger, a router, a LAN.")
	if d.w, err = world.New(ctx, world.Options{Programs: d.Programs, CoreYAML: world.ProxyYAML}); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.w.Close())
		}
	}()
	b := d.w.Bed
	d.say("ownline-core runs on the router %s, ownline-web in the LAN on %s; they are paired.", b.Router.IPv4, d.w.WebAddr())
	d.service, err = d.w.API.Create(ctx, "/services", world.Map{
		"site": d.w.Site, "name": "nas", "kind": "forward", "transport": "tcp",
		"target": netip.AddrPortFrom(b.Lan.IPv4, bed.HTTPPort).String(), "target6": netip.AddrPortFrom(b.Lan.IPv6, bed.HTTPPort).String(),
	})
	if err != nil {
		return err
	}
	var me struct{ ID string }
	if err := d.w.API.Call(ctx, "GET", "/me", nil, &me); err != nil {
		return err
	}
	if _, err := d.w.API.Create(ctx, "/grants", world.Map{"user": me.ID, "service": d.service, "automatic": true, "public_port": fixedPort}); err != nil {
		return err
	}
	if _, err := d.w.AddProxied(ctx, "cloud", bed.HTTPPort); err != nil {
		return err
	}
	phone, err := d.w.NewDevice(ctx, "phone", nil)
	if err != nil {
		return err
	}
	d.say("Two services of %s:%d in the LAN, \"nas\" by its port and \"cloud\" by its name; grants for both, and an enrolled phone.", b.Lan.IPv4, bed.HTTPPort)
	for _, chapter := range []func(context.Context, *world.Device) error{d.dark, d.knock, d.name, d.replay} {
		if err := chapter(ctx, phone); err != nil {
			return err
		}
	}
	return d.cut(ctx)
}

func (d *demo) public() netip.AddrPort { return netip.AddrPortFrom(d.w.Bed.Router.IPv4, fixedPort) }

// strangerSeesNothing sweeps what could be open and knocks with garbage.
func (d *demo) strangerSeesNothing(ctx context.Context, when string) error {
	b := d.w.Bed
	ports := []uint16{22, 80, 443, 8080, 9999, 57329, world.KnockPort, fixedPort}
	sweep := b.Stranger.SweepTCP(ctx, b.Router.IPv4, ports, 8, 300*time.Millisecond)
	garbage := b.Stranger.ProbeUDP(d.w.KnockAddr(false), make([]byte, knock.Size), 200*time.Millisecond)
	closed := b.Stranger.ProbeUDP(netip.AddrPortFrom(b.Router.IPv4, world.KnockPort+1), make([]byte, knock.Size), 200*time.Millisecond)
	return d.step(len(sweep.Ports(bed.Open)) == 0 && garbage.State == closed.State,
		"The stranger (%s) finds nothing %s: no open port, and the knock port looks like any closed one (%s).", b.Stranger.IPv4, when, garbage.State)
}

func (d *demo) dark(ctx context.Context, _ *world.Device) error {
	if err := d.strangerSeesNothing(ctx, "before"); err != nil {
		return err
	}
	return d.step(d.w.Bed.Client1.ConnectTCP(d.public(), 300*time.Millisecond).State != bed.Open,
		"Neither does the phone (%s), before it knocks.", d.w.Bed.Client1.IPv4)
}

// knock has the phone knock, once its hints have reached the router, and sends it in.
func (d *demo) knock(ctx context.Context, phone *world.Device) error {
	client := d.w.Bed.Client1
	conn, err := client.Dial("udp", d.w.KnockAddr(false), time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	var answer knock.Answer
	var began time.Time
	err = d.w.Core.Until(ctx, "answer the knock", func(context.Context) error {
		began = time.Now()
		answer, err = phone.SendOn(conn, phone.Knock(), 300*time.Millisecond)
		return err
	})
	if err != nil {
		return err
	}
	told := time.Since(began)
	in := client.ConnectTCP(d.public(), time.Second)
	took := time.Since(began)
	if err := d.step(answer.Status == knock.Opened && in.State == bed.Open && answer.Source == client.IPv4,
		"The phone sends one sealed packet; %.2f ms later it is told so, and after %.2f ms it is connected.", ms(told), ms(took)); err != nil {
		return err
	}
	page, err := client.Get(d.public(), 2*time.Second)
	return d.step(err == nil && page.Client.Addr().Unmap() == client.IPv4, "It reaches the nas, which sees the phone's real address, %s.", client.IPv4)
}

// name opens the other service that the knock has opened, over HTTPS.
func (d *demo) name(ctx context.Context, _ *world.Device) error {
	b := d.w.Bed
	browser, err := d.w.Browser(ctx, b.Client1)
	if err != nil {
		return err
	}
	url := world.URL("cloud", "/")
	resp, err := browser.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var page bed.Page
	if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
		return err
	}
	if err := d.step(resp.StatusCode == http.StatusOK && resp.ProtoMajor == 2 && page.Headers.Get("X-Forwarded-For") == b.Client1.IPv4.String(),
		"The same knock has opened %s: HTTPS ends on the router, which tells the service whose request it is.", url); err != nil {
		return err
	}
	stranger, err := d.w.Browser(ctx, b.Stranger)
	if err != nil {
		return err
	}
	resp, err = stranger.Get(url)
	if err == nil {
		resp.Body.Close()
	}
	return d.step(err != nil, "The stranger does not even get as far as TLS.")
}

func ms(t time.Duration) float64 { return float64(t.Microseconds()) / 1000 }

func (d *demo) replay(ctx context.Context, phone *world.Device) error {
	b := d.w.Bed
	capture, err := b.Client1.Capture(b.Client1.Link, bed.Filter{Protocol: bed.UDP, Port: world.KnockPort})
	if err != nil {
		return err
	}
	defer capture.Close()
	if _, err := phone.Send(b.Client1, d.w.KnockAddr(false), phone.Knock(), time.Second); err != nil {
		return err
	}
	packet, err := capture.Next(ctx)
	if err != nil {
		return err
	}
	if err := d.strangerSeesNothing(ctx, "while the phone is in"); err != nil {
		return err
	}
	got := b.Stranger.ProbeUDP(d.w.KnockAddr(false), packet.Payload, 300*time.Millisecond)
	return d.step(got.State != bed.Open && b.Stranger.ConnectTCP(d.public(), 300*time.Millisecond).State != bed.Open,
		"The stranger replays a knock that it has captured: no answer (%s), and still no way in.", got.State)
}

// cut downloads until the session is over, with core killed.
func (d *demo) cut(ctx context.Context) error {
	b := d.w.Bed
	client := b.Client2
	var session world.Session
	if err := d.w.API.Call(ctx, "POST", "/sessions", world.Map{
		"service": d.service, "source": client.IPv4.String(), "for": streaming.String(), "public_port": fixedPort,
	}, &session); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.public().String()+"/stream?bytes=1000000000&rate=4000000", nil)
	if err != nil {
		return err
	}
	resp, err := client.HTTPClient(0).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	d.say("A second client (%s) has a session of %v and downloads.", client.IPv4, streaming)
	if err := d.w.Core.Kill(); err != nil {
		return err
	}
	d.say("core is killed (SIGKILL) in the middle of it.")
	size, last, err := drain(resp.Body)
	late := last.Sub(session.Expires)
	if err := d.step(err != nil && late.Abs() < 100*time.Millisecond && size > 0,
		"The kernel alone cuts the download %+d ms from its session's end, after %.1f MB.", late.Milliseconds(), float64(size)/1e6); err != nil {
		return err
	}
	if err := d.step(client.ConnectTCP(d.public(), 300*time.Millisecond).State != bed.Open && b.Client1.ConnectTCP(d.public(), time.Second).State == bed.Open,
		"Its way in is shut; the phone's, whose session goes on, is not."); err != nil {
		return err
	}
	began := time.Now()
	if err := d.w.Core.Start(ctx); err != nil {
		return err
	}
	if err := d.w.WaitConnected(ctx); err != nil {
		return err
	}
	if err := d.step(b.Client1.ConnectTCP(d.public(), time.Second).State == bed.Open, "core is started again and has all it should %d ms later.", time.Since(began).Milliseconds()); err != nil {
		return err
	}
	if err := d.w.API.Call(ctx, "DELETE", "/sessions?all=true", nil, nil); err != nil {
		return err
	}
	if err := d.step(b.Client1.ConnectTCP(d.public(), 300*time.Millisecond).State != bed.Open, "The admin closes everything: the phone is out."); err != nil {
		return err
	}
	return d.strangerSeesNothing(ctx, "after")
}

// drain reads until nothing comes for a while, and tells when the last bytes came.
func drain(r io.Reader) (size int64, last time.Time, err error) {
	type chunk struct {
		n   int
		err error
	}
	chunks := make(chan chunk, 16)
	done := make(chan struct{})
	defer close(done)
	go func() { // ends with the response's body, or with done
		buf := make([]byte, 64<<10)
		for {
			n, err := r.Read(buf)
			select {
			case chunks <- chunk{n, err}:
			case <-done:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	for {
		select {
		case c := <-chunks:
			if c.n > 0 {
				size, last = size+int64(c.n), time.Now()
			}
			if c.err != nil {
				return size, last, c.err
			}
		case <-time.After(2 * time.Second):
			return size, last, errors.New("nothing comes any more")
		}
	}
}

// serve lets a browser on this machine reach the web of the bed, until ctx ends.
func (d *demo) serve(ctx context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	// Something to look at: under "Everyone's", since a browser here is in the bed's LAN.
	if err := d.w.API.Call(ctx, "POST", "/sessions", world.Map{"service": d.service, "source": d.w.Bed.Client1.IPv4.String(), "for": "30m"}, nil); err != nil {
		return err
	}
	fmt.Fprintf(d.Out, "\nThe pages of this world's ownline-web: http://%s\n  name      %s\n  password  %s\nCtrl-C ends it all.\n", l.Addr(), world.AdminName, world.AdminPassword)
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		wg.Go(func() { d.splice(ctx, conn) })
	}
}

func (d *demo) splice(ctx context.Context, near net.Conn) {
	defer near.Close()
	far, err := d.w.Bed.Lan.Dial("tcp", d.w.WebAddr(), 5*time.Second)
	if err != nil {
		return
	}
	defer far.Close()
	stop := context.AfterFunc(ctx, func() { near.Close(); far.Close() })
	defer stop()
	var wg sync.WaitGroup
	for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
		wg.Go(func() {
			_, _ = io.Copy(pair[0], pair[1]) // the end of a browser's connection is nobody's business
			pair[0].Close()
		})
	}
	wg.Wait()
}
