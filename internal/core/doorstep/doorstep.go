// Package doorstep: what strangers get of web while a guest is expected: the page that an
// invitation's link leads to, and the four calls that the page makes; until an end that web
// names. The reverse proxy, whichever driver it has, leads the doorstep's name here, where a
// request is made anew out of what is known to be needed, and passed on to web.
package doorstep

import (
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/logging"
)

// Grace is how long connections from before last when the doorstep is shut. They get no
// further answer, but the one that is under way: often it is the one to the guest whose
// redeeming has shut it.
const Grace = 3 * time.Second

const (
	timeout  = 20 * time.Second // from the first byte of a request to the last of its answer
	maxHead  = 16 << 10         // bytes
	maxBody  = 1 << 10          // a link's secret in JSON
	maxReply = 4 << 20          // more than any file of the page
	maxBusy  = 64               // requests at a time
	maxEach  = 12               // of them from one place: browsers ask for six files at once
)

// Doorstep is shut at first. It has its port from New on; Run it.
type Doorstep struct {
	log      *slog.Logger
	expects  func(netip.Addr) bool
	listener net.Listener
	web      *http.Transport

	mu      sync.Mutex // guards what is below
	targets []netip.AddrPort
	until   time.Time // by the monotonic clock; zero: it is shut
	live    context.Context
	end     context.CancelFunc // of live
	timer   *time.Timer        // shuts it
	busy    map[netip.Prefix]int
	total   int
}

// New takes a port that only this host reaches. expects reports whom the doorstep is open to even when
// it is shut: guests who have been let in, where they are.
func New(expects func(netip.Addr) bool, log *slog.Logger) (*Doorstep, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &Doorstep{log: log, expects: expects, listener: l, busy: map[netip.Prefix]int{}}
	d.web = &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return d.dial(ctx) },
		MaxIdleConnsPerHost: 4, MaxConnsPerHost: maxBusy, IdleConnTimeout: time.Minute,
		ResponseHeaderTimeout: timeout, MaxResponseHeaderBytes: maxHead, DisableCompression: true,
	}
	return d, nil
}

// Addr is where the proxy reaches it.
func (d *Doorstep) Addr() netip.AddrPort {
	return d.listener.Addr().(*net.TCPAddr).AddrPort()
}

// Set says where web is, tried in that order, and until when the doorstep is open. One that has
// been is shut: nobody new is let in, and who is there still is cut off after Grace.
func (d *Doorstep) Set(targets []netip.AddrPort, until time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.targets = slices.Clone(targets)
	left := time.Until(until)
	if len(targets) == 0 || left <= 0 {
		d.shut()
		return
	}
	if d.until.IsZero() {
		d.live, d.end = context.WithCancel(context.Background())
		d.log.Info("the doorstep is open to everybody", "until", until)
	} else {
		d.timer.Stop()
	}
	d.until = until
	var timer *time.Timer
	timer = time.AfterFunc(left, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.timer == timer {
			d.shut()
		}
	})
	d.timer = timer
}

// shut is called with mu held.
func (d *Doorstep) shut() {
	if d.until.IsZero() {
		return
	}
	d.timer.Stop()
	time.AfterFunc(Grace, d.end) // a context of this opening, which nobody else gets
	d.until, d.timer = time.Time{}, nil
	d.log.Info("the doorstep is shut")
}

// Until returns until when the doorstep is open, zero when it is shut.
func (d *Doorstep) Until() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open() {
		return d.until
	}
	return time.Time{}
}

// open is called with mu held. The clock is asked, too: a timer may be late.
func (d *Doorstep) open() bool { return !d.until.IsZero() && time.Now().Before(d.until) }

// Admit lets everybody in while it is open: see proxy.Admission.
func (d *Doorstep) Admit() (context.Context, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.open() {
		return nil, false
	}
	return d.live, true
}

// Run answers until ctx ends.
func (d *Doorstep) Run(ctx context.Context) error {
	server := &http.Server{
		Handler: d, ReadTimeout: timeout, WriteTimeout: timeout, IdleTimeout: time.Minute, MaxHeaderBytes: maxHead,
		ErrorLog: log.New(io.Discard, "", 0), // strangers may not fill the log
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	err := server.Serve(d.listener)
	stop()
	server.Close()
	d.web.CloseIdleConnections()
	d.Set(nil, time.Time{})
	if ctx.Err() != nil || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Close is for one that never ran.
func (d *Doorstep) Close() error { return d.listener.Close() }

// dial connects to the first address of web that answers.
func (d *Doorstep) dial(ctx context.Context) (net.Conn, error) {
	d.mu.Lock()
	targets := d.targets
	d.mu.Unlock()
	err := errors.New("web is nowhere")
	for _, t := range targets {
		var c net.Conn
		dialer := net.Dialer{Timeout: 5 * time.Second}
		if c, err = dialer.DialContext(ctx, "tcp", t.String()); err == nil {
			return c, nil
		}
	}
	return nil, err
}

// enter takes a place for a request from a source; leave gives it back.
func (d *Doorstep) enter(source netip.Addr) (leave func(), ok bool) {
	bits := 32
	if source.Is6() {
		bits = 64 // who has one address there has as many as they like
	}
	from := netip.PrefixFrom(source, bits).Masked()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.total >= maxBusy || d.busy[from] >= maxEach {
		return nil, false
	}
	d.total++
	d.busy[from]++
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.total--
		if d.busy[from]--; d.busy[from] == 0 {
			delete(d.busy, from)
		}
	}, true
}

// ServeHTTP answers one request. What is not of the page is not there, whatever the method; and
// nothing is when the doorstep is shut, but to whom it expects all the same.
func (d *Doorstep) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	source, ok := sourceOf(r)
	switch {
	case !known(r) || d.Until().IsZero() && !(ok && d.expects(source)):
		refuse(w, r, nothing)
		return
	case !ok || !ownPage(r):
		refuse(w, r, notOurs)
		return
	}
	leave, ok := d.enter(source)
	if !ok {
		refuse(w, r, crowded)
		return
	}
	defer leave()
	out, err := request(r, source)
	if err != nil {
		refuse(w, r, notOurs)
		return
	}
	resp, err := d.web.RoundTrip(out)
	if err != nil {
		d.log.Warn("the doorstep does not reach web", logging.Err, err)
		refuse(w, r, away)
		return
	}
	defer resp.Body.Close()
	reply(w, resp)
}
