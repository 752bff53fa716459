package embedded_test

import (
	"context"
	"net"
	"os"
	"testing"
	"time"

	"github.com/summerwind/h2spec"
	"github.com/summerwind/h2spec/config"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/ownline/ownline/internal/core/proxy/proxytest"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// h2spec, the conformance suite of HTTP/2, finds nothing to complain about. It shakes hands
// with whatever its host's name resolves to, from 127.0.0.1.
func TestH2Spec(t *testing.T) {
	w := world(t)
	s := proxytest.StartHTTP(t, inside, "a", nil, false)
	id := proxytest.ID("a")
	err := w.Driver.Apply(t.Context(), []link.Service{{ID: id, Name: "a", Target4: s.Addr, Options: ownline.ProxyOptions{}}})
	if err != nil {
		t.Fatal(err)
	}
	w.Door.Open(id, inside)
	resolveTo(t, inside.As4())

	if !testing.Verbose() { // it prints a line per case
		stdout := os.Stdout
		if os.Stdout, err = os.OpenFile(os.DevNull, os.O_WRONLY, 0); err != nil {
			t.Fatal(err)
		}
		defer func() {
			os.Stdout.Close()
			os.Stdout = stdout
		}()
	}
	ok, err := h2spec.Run(&config.Config{
		Host: w.Settings.Host("a"), Port: int(w.Settings.Port), Path: "/big?n=4", Timeout: 2 * time.Second,
		MaxHeaderLen: 4000, Strict: true, TLS: true, Insecure: true,
	})
	if err != nil || !ok {
		t.Errorf("h2spec: passed: %v, %v; run with -v to see what failed", ok, err)
	}
}

// resolveTo answers every question for a name with one address.
func resolveTo(t *testing.T, addr [4]byte) {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		buf := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60},
					Body:   &dnsmessage.AResource{A: addr},
				}}
			}
			if b, err := m.Pack(); err == nil {
				pc.WriteTo(b, from)
			}
		}
	}()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = before
		pc.Close()
		<-over
	})
}
