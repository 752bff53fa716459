package broker_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/broker"
	"github.com/ownline/ownline/internal/broker/brokertest"
	"github.com/ownline/ownline/internal/ownline"
)

// start runs a connection until the test ends.
func start(t *testing.T, o broker.Options, handle ...func(*broker.Conn)) *broker.Conn {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	c, err := broker.New(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range handle {
		h(c)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return c
}

// connect runs a connection that hands what arrives on topic to the channel.
func connect(t *testing.T, url, topic string, authorities *x509.CertPool) (*broker.Conn, <-chan string) {
	t.Helper()
	got := make(chan string, 100)
	c := start(t, broker.Options{URL: url, Authorities: authorities}, func(c *broker.Conn) {
		c.Handle(topic, func(_ context.Context, payload []byte) { got <- string(payload) })
	})
	return c, got
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 600 {
		if ok() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("it never comes to pass: " + what)
}

func up(c *broker.Conn) func() bool { return func() bool { return c.Status().Connected } }

func receive(t *testing.T, got <-chan string) string {
	t.Helper()
	select {
	case s := <-got:
		return s
	case <-time.After(30 * time.Second):
		t.Fatal("nothing arrives")
	}
	return ""
}

func TestConn(t *testing.T) {
	b := brokertest.Start(t)
	for name, url := range map[string]string{"tcp": b.TCP, "websocket": b.WS, "encrypted": b.TLS} {
		t.Run(name, func(t *testing.T) {
			topic := "test/" + name
			c, got := connect(t, url, topic, b.Authority)
			until(t, "connected", up(c))
			publish := func(topic, payload string) {
				t.Helper()
				if err := c.Publish(t.Context(), topic, []byte(payload)); err != nil {
					t.Fatal(err)
				}
			}
			publish("test/other", "not ours")
			publish(topic, strings.Repeat("x", 5000)) // more than anything of ours has
			publish(topic, "hello")
			if s := receive(t, got); s != "hello" {
				t.Errorf("got %.20q", s)
			}
		})
	}
}

// A broker whose certificate nobody vouches for gets neither a word nor a password.
func TestUnknownAuthority(t *testing.T) {
	b := brokertest.Start(t)
	c, _ := connect(t, b.TLS, "test/unknown", nil)
	until(t, "refused", func() bool { return strings.Contains(c.Status().Error, "certificate") })
	if c.Status().Connected {
		t.Error("connected")
	}
}

// A broker that asks for it gets a certificate and a password; files that change count from
// the next connection on, and what is wrong is told.
func TestStrict(t *testing.T) {
	b := brokertest.Start(t)
	ours, err := tls.LoadX509KeyPair(b.CertFile, b.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	type files struct {
		certificate *tls.Certificate
		password    string
		err         error
	}
	run := func(now *atomic.Pointer[files]) *broker.Conn {
		return start(t, broker.Options{
			URL: b.Strict, Username: brokertest.Username, Authorities: b.Authority,
			Reload: func(o *broker.Options) error {
				f := now.Load()
				o.Certificate, o.Password = f.certificate, ownline.Secret(f.password)
				return f.err
			},
		})
	}
	with := func(f files) *atomic.Pointer[files] {
		var p atomic.Pointer[files]
		p.Store(&f)
		return &p
	}
	c := run(with(files{nil, brokertest.Password, nil}))
	until(t, "refused without a certificate", func() bool { return c.Status().Error != "" })
	c = run(with(files{&ours, "", errors.New("mqtt.cert_file: is broken")}))
	until(t, "a broken file is told", func() bool { return strings.Contains(c.Status().Error, "mqtt.cert_file") })
	changing := with(files{&ours, "hunter2", nil})
	c = run(changing)
	until(t, "refused with a wrong password", func() bool {
		return strings.Contains(c.Status().Error, "name or the password") || strings.Contains(c.Status().Error, "not authorized")
	})
	if strings.Contains(c.Status().Error, "hunter2") {
		t.Error("tells the password")
	}
	changing.Store(&files{&ours, brokertest.Password, nil})
	until(t, "let in", up(c))
}

// It comes back when the broker does.
func TestReconnect(t *testing.T) {
	b := brokertest.Start(t)
	c, got := connect(t, b.TCP, "test/again", nil)
	until(t, "connected", up(c))
	b.Down()
	until(t, "seen to be down", func() bool { s := c.Status(); return !s.Connected && s.Error != "" })
	if err := c.Publish(t.Context(), "x", nil); !errors.Is(err, ownline.ErrUnavailable) {
		t.Errorf("published without a broker: %v", err)
	}
	b.Up()
	until(t, "connected again", up(c))
	if err := c.Publish(t.Context(), "test/again", []byte("back")); err != nil {
		t.Fatal(err)
	}
	if s := receive(t, got); s != "back" {
		t.Errorf("got %q", s)
	}
}

// What the broker retained is stale, and is not handled.
func TestRetained(t *testing.T) {
	b := brokertest.Start(t)
	b.Retain("test/old", "stale")
	c, got := connect(t, b.TCP, "test/old", nil)
	until(t, "connected", up(c))
	if err := c.Publish(t.Context(), "test/old", []byte("fresh")); err != nil {
		t.Fatal(err)
	}
	if s := receive(t, got); s != "fresh" {
		t.Errorf("got %q", s)
	}
}

func TestBadAddress(t *testing.T) {
	for _, url := range []string{"", "broker", "http://h", "tcp://"} {
		if _, err := broker.New(broker.Options{URL: url}); !errors.Is(err, ownline.ErrInvalid) {
			t.Errorf("New(%q) = %v", url, err)
		}
	}
}
