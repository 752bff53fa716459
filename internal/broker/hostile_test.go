package broker

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// A broker that breaks every rule is left, and found again when it has become honest. It never
// gets us to keep what it sends.
func TestHostileBroker(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	flood := bytes.Repeat(message(version5, "flood"), 20_000)
	evils := map[string]func(*peer){
		"a packet without end":           func(p *peer) { p.send(0x30, 0xff, 0xff, 0xff, 0xff, 0x7f) },
		"a packet cut short":             func(p *peer) { p.send(0x30, 200, 1, 0, 1, 'a') },
		"a topic longer than its packet": func(p *peer) { p.send(0x30, 3, 0xff, 0xff, 'a') },
		"no topic":                       func(p *peer) { p.send(0x30, 0) },
		"a second welcome":               func(p *peer) { p.send(0x20, 3, 0, 0, 0) },
		"a packet of no kind":            func(p *peer) { p.send(0x00, 0) },
		"a packet that servers get":      func(p *peer) { p.send(0x10, 0) },
		"flags that there are not":       func(p *peer) { p.send(0xd7, 0) },
		"quality 3":                      func(p *peer) { p.send(0x36, 5, 0, 1, 'a', 0, 1) },
		"quality 2, which is remembered": func(p *peer) { p.send(0x34, 6, 0, 1, 'a', 0, 1, 0) },
		"a huge acknowledgement":         func(p *peer) { p.send(append([]byte{0x40, 0x80, 0x80, 4}, make([]byte, 4*128*128)...)...) },
		"acknowledgements of nothing": func(p *peer) {
			for range 1000 {
				p.send(0x40, 2, 0, 1)
				p.send(0x90, 4, 0, 9, 0, 1)
			}
			p.conn.Close()
		},
		"properties that lie": func(p *peer) { p.send(0x30, 8, 0, 1, 'a', 0xff, 0xff, 0xff, 0x7f, 1) },
		"huge messages": func(p *peer) {
			for range 40 {
				p.send(message(version5, big)...)
			}
			p.conn.Close()
		},
		"a flood": func(p *peer) {
			for range 10 {
				p.send(flood...)
			}
			p.conn.Close()
		},
		"hanging up": func(p *peer) { p.conn.Close() },
	}
	for name, evil := range evils {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := serve(t, func(p *peer, number int) {
				version := p.welcome()
				p.obey(version, func() {
					if number == 1 {
						evil(p)
						_ = p.conn.(*net.TCPConn).CloseWrite() // what is cut short stays so
						return
					}
					p.send(message(version, "honest")...)
				})
			})
			_, got := f.run()
			for s := range got {
				if s == "honest" {
					return
				}
				if s != "flood" {
					t.Errorf("handled %.40q", s)
				}
			}
		})
	}
}

// What is too large is passed over, and what comes behind it is not: who may publish at the
// broker can't cut us off. It costs no memory.
func TestTooLarge(t *testing.T) {
	for _, version := range []byte{version5, version3} {
		f := serve(t, func(p *peer, _ int) {
			_, body := p.next()
			switch {
			case len(body) < 7:
				return
			case body[6] != version:
				return
			case version == version5:
				p.send(0x20, 3, 0, 0, 0)
			default:
				p.send(0x20, 2, 0, 0)
			}
			p.obey(version, func() {
				for range 20 {
					p.send(message(version, strings.Repeat("x", 1<<20))...)
				}
				p.send(message(version, "small")...)
			})
		})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, got := f.run()
		select {
		case s := <-got:
			if s != "small" {
				t.Errorf("version %d: got %.40q", version, s)
			}
		case <-time.After(30 * time.Second):
			t.Errorf("version %d: nothing arrives", version)
		}
		// The test's own broker allocates as well: about 3 MiB a message.
		if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 120<<20 {
			t.Errorf("version %d: %d MiB for it", version, (after.TotalAlloc-before.TotalAlloc)>>20)
		}
	}
}

// A broker that reads nothing keeps nobody from ending.
func TestDeafBroker(t *testing.T) {
	f := serve(t, func(p *peer, _ int) {
		p.welcome()
		<-t.Context().Done()
	})
	c, err := New(Options{URL: f.url(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	running, published := make(chan error, 1), make(chan error, 1)
	go func() { running <- c.Run(ctx) }()
	for !c.held() {
		time.Sleep(5 * time.Millisecond)
	}
	go func() { published <- c.Publish(t.Context(), "b", make([]byte, 32<<20)) }()
	time.Sleep(200 * time.Millisecond) // so that it is stuck, most often
	cancel()
	if err := <-running; err != nil {
		t.Error(err)
	}
	if err := <-published; err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("not cut off: %v", err)
	}
}

func (c *Conn) held() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session != nil
}

func FuzzPacket(f *testing.F) {
	f.Add(byte(version5), message(version5, "x"))
	f.Add(byte(version3), message(version3, "x"))
	f.Add(byte(version5), []byte{0x90, 4, 0, 1, 0, 1})
	f.Add(byte(version5), []byte{0x40, 4, 0, 1, 0, 0})
	f.Add(byte(version5), []byte{0xe0, 2, 0x81, 0})
	f.Add(byte(version5), []byte{0x20, 6, 0, 0, 3, 0x13, 0, 9})
	f.Fuzz(func(t *testing.T, version byte, stream []byte) {
		if version != version5 {
			version = version3
		}
		ours, theirs := net.Pipe()
		defer theirs.Close()
		go func() { // drains what is answered
			buf := make([]byte, 512)
			for {
				if _, err := theirs.Read(buf); err != nil {
					return
				}
			}
		}()
		s := &session{conn: ours, in: bufio.NewReader(bytes.NewReader(stream)), version: version, keepAlive: time.Minute, ended: make(chan struct{})}
		if err := s.run(func(_ string, payload []byte, _ bool) {
			if len(payload) > maxPacket {
				t.Errorf("%d bytes", len(payload))
			}
		}); err == nil {
			t.Error("ended without a reason")
		}
	})
}
