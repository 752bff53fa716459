package broker

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Brokers that know 3.1.1 alone turn version 5 down in one of three ways; and there may be
// ones that know 5 alone.
func TestVersions(t *testing.T) {
	for name, tc := range map[string]struct {
		speaks byte
		refuse func(*peer)
	}{
		"3.1.1, refusing in its own words": {version3, func(p *peer) { p.send(0x20, 2, 0, 1) }},
		"3.1.1, refusing in those of 5":    {version3, func(p *peer) { p.send(0x20, 3, 0, 0x84, 0) }},
		"3.1.1, hanging up":                {version3, func(*peer) {}},
		"3.1.1, tearing down":              {version3, func(p *peer) { _ = p.conn.(*net.TCPConn).SetLinger(0) }},
		"5 alone":                          {version5, func(p *peer) { p.send(0x20, 2, 0, 1) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex // guards what follows
			asked, greeted := "", false
			f := serve(t, func(p *peer, _ int) {
				_, body := p.next()
				if len(body) < 7 {
					return
				}
				mu.Lock()
				asked += string('0' + rune(body[6]))
				mu.Unlock()
				if body[6] != tc.speaks {
					tc.refuse(p)
					return
				}
				if tc.speaks == version5 {
					p.send(0x20, 3, 0, 0, 0)
				} else {
					p.send(0x20, 2, 0, 0)
				}
				p.obey(tc.speaks, func() {
					p.send(message(tc.speaks, "hello")...)
					mu.Lock()
					defer mu.Unlock()
					if !greeted {
						p.conn.Close()
					}
					greeted = true
				})
			})
			c, got := f.run()
			if s := <-got; s != "hello" {
				t.Errorf("got %q", s)
			}
			// It comes back with what was understood, without asking anew.
			if s := <-got; s != "hello" {
				t.Errorf("got %q", s)
			}
			f.wait(c, "connected", func(s Status) bool { return s.Connected })
			if err := c.Publish(t.Context(), "b", []byte("x")); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if want := map[byte]string{version3: "544", version5: "55"}[tc.speaks]; !strings.HasPrefix(asked, want) {
				t.Errorf("asked for the versions %s, want %s", asked, want)
			}
		})
	}
}

// A refusal is told in words; it names no password.
func TestRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		answer []byte
		want   string
	}{
		"5, wrong password":     {[]byte{0x20, 3, 0, 0x86, 0}, "name or the password"},
		"5, not authorized":     {[]byte{0x20, 3, 0, 0x87, 0}, "not authorized"},
		"5, busy":               {[]byte{0x20, 3, 0, 0x89, 0}, "0x89"},
		"no MQTT":               {[]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), ""},
		"properties cut short":  {[]byte{0x20, 4, 0, 0, 9, 1}, "damaged"},
		"a length without end":  {[]byte{0x20, 0xff, 0xff, 0xff, 0xff, 0xff}, "without end"},
		"nothing in it":         {[]byte{0x20, 0}, "damaged"},
		"another packet":        {[]byte{0xd0, 0}, "not that of MQTT"},
		"far too large a hello": {append([]byte{0x20, 0x80, 0x40}, make([]byte, 8192)...), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := serve(t, func(p *peer, _ int) {
				p.next()
				p.send(tc.answer...)
			})
			c, _ := f.run()
			f.wait(c, "it is told", func(s Status) bool {
				return !s.Connected && s.Error != "" && strings.Contains(s.Error, tc.want)
			})
		})
	}
}

// Who tears the connection down may not know the version; who says what is wrong has another
// reason.
func TestHungUp(t *testing.T) {
	for want, errs := range map[bool][]error{
		true:  {io.EOF, &net.OpError{Op: "read", Err: syscall.ECONNRESET}},
		false: {nil, &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, &net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}, io.ErrShortBuffer},
	} {
		for _, err := range errs {
			if hungUp(err) != want {
				t.Errorf("hungUp(%v) = %v", err, !want)
			}
		}
	}
}
