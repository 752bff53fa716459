package broker

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"
)

// fake is a broker that does what a test wants, byte by byte.
type fake struct {
	t    *testing.T
	l    net.Listener
	done sync.WaitGroup
}

// serve has each connection served, the first as number 1.
func serve(t *testing.T, each func(c *peer, number int)) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{t: t, l: l}
	f.done.Go(func() {
		for number := 1; ; number++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			f.done.Go(func() {
				defer conn.Close()
				each(&peer{conn, bufio.NewReader(conn)}, number)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		f.done.Wait()
	})
	return f
}

func (f *fake) url() string { return "tcp://" + f.l.Addr().String() }

// run has a connection to it that hands what comes to topic "a" to a channel.
func (f *fake) run() (*Conn, <-chan string) {
	f.t.Helper()
	c, err := New(Options{URL: f.url(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.t.Fatal(err)
	}
	got := make(chan string, 1000)
	c.Handle("a", func(_ context.Context, payload []byte) { got <- string(payload) })
	ctx, cancel := context.WithCancel(f.t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	f.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Error(err)
		}
	})
	return c, got
}

func (f *fake) wait(c *Conn, what string, is func(Status) bool) {
	f.t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(c.Status()); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			f.t.Fatalf("%s: %+v", what, c.Status())
		}
	}
}

// peer is one connection at the broker's end.
type peer struct {
	conn net.Conn
	in   *bufio.Reader
}

// next returns the next packet; first is 0 at the end.
func (p *peer) next() (first byte, body []byte) {
	first, err := p.in.ReadByte()
	if err != nil {
		return 0, nil
	}
	size := 0
	for shift := 0; ; shift += 7 {
		b, err := p.in.ReadByte()
		if err != nil {
			return 0, nil
		}
		size |= int(b&0x7f) << shift
		if b < 0x80 {
			break
		}
	}
	body = make([]byte, size)
	if _, err := io.ReadFull(p.in, body); err != nil {
		return 0, nil
	}
	return first, body
}

// send writes bytes; the other end may be gone.
func (p *peer) send(b ...byte) bool {
	_ = p.conn.SetWriteDeadline(time.Now().Add(20 * time.Second))
	_, err := p.conn.Write(b)
	return err == nil
}

// welcome takes CONNECT and returns the version that it asks for.
func (p *peer) welcome() byte {
	_, body := p.next()
	if len(body) < 7 {
		return 0
	}
	if body[6] == version5 {
		p.send(0x20, 3, 0, 0, 0)
	} else {
		p.send(0x20, 2, 0, 0)
	}
	return body[6]
}

// obey answers SUBSCRIBE, PUBLISH and PINGREQ until the connection ends; then is called once
// there is a subscription.
func (p *peer) obey(version byte, then func()) {
	for {
		first, body := p.next()
		switch first >> 4 {
		case 0:
			return
		case 3:
			id := 2 + int(body[0])<<8 + int(body[1])
			p.send(0x40, 2, body[id], body[id+1])
		case 8:
			if version == version5 {
				p.send(0x90, 4, body[0], body[1], 0, 1)
			} else {
				p.send(0x90, 3, body[0], body[1], 1)
			}
			then()
		case 12:
			p.send(0xd0, 0)
		}
	}
}

// message is a PUBLISH to topic "a", of quality 0, as version 5 or 3.1.1 has it.
func message(version byte, payload string) []byte {
	body := []byte{0, 1, 'a'}
	if version == version5 {
		body = append(body, 0)
	}
	body = append(body, payload...)
	out := []byte{0x30}
	for size := len(body); ; {
		b := byte(size & 0x7f)
		if size >>= 7; size == 0 {
			out = append(out, b)
			break
		}
		out = append(out, b|0x80)
	}
	return append(out, body...)
}
