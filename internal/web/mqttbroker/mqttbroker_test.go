package mqttbroker

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/broker"
	"github.com/ownline/ownline/internal/broker/brokertest"
	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
)

// world is an embedded broker with two devices and guests.
type world struct {
	t      *testing.T
	broker *Broker
	addr   string
	scheme string // of TCP: "tcp" or "tls"
	got    chan string
	a, b   ownline.DeviceID

	authority *x509.CertPool
	changes   told
	mu        sync.Mutex // guards what follows
	devices   []link.Device
}

var site = ownline.NewID[ownline.Site]()

// Knockers are the devices of the world.
func (w *world) Knockers(context.Context) ([]access.SiteDevices, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return []access.SiteDevices{{Site: site, Devices: append([]link.Device(nil), w.devices...)}}, nil
}

// told is what Next returns, one after the other.
type told chan access.Event

// Next waits for an event.
func (c told) Next(ctx context.Context) (access.Event, error) {
	select {
	case e := <-c:
		return e, nil
	case <-ctx.Done():
		return access.Event{}, ctx.Err()
	}
}

func secret(of byte) ownline.Secret { return bytes.Repeat([]byte{of}, ownline.SecretSize) }

func newWorld(t *testing.T, certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *world {
	t.Helper()
	w := &world{t: t, got: make(chan string, 1000), a: ownline.NewID[ownline.Device](), b: ownline.NewID[ownline.Device](), scheme: "tcp", changes: make(told)}
	w.devices = []link.Device{{ID: w.a, Secret: secret(1)}, {ID: w.b, Secret: secret(2)}}
	if certificate != nil {
		w.scheme = "tls"
	}
	var err error
	w.broker, err = New(Options{
		Devices: w, Topic: "ownline/knock", InvitationTopic: "ownline/redeem", Guest: "guest", GuestPassword: ownline.Secret("open"),
		Certificate: certificate, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{"ownline/knock", "ownline/redeem"} {
		w.broker.Handle(topic, func(ctx context.Context, payload []byte) {
			w.got <- string(payload)
			if back, ok := bytes.CutPrefix(payload, []byte("answer to ")); ok {
				if err := w.broker.Publish(ctx, string(back), []byte("here")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.broker.Serve(ctx, l, w.changes) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := len(w.broker.lines) + len(w.broker.from); n > 0 {
			t.Errorf("%d connections are left", n)
		}
	})
	w.until("it knows the devices", func() bool {
		w.broker.mu.Lock()
		defer w.broker.mu.Unlock()
		return len(w.broker.people) == 3
	})
	return w
}

func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("it never comes to pass: %s; %+v", what, w.broker.Counts())
		}
	}
}

func password(t *testing.T, of byte) ownline.Secret {
	t.Helper()
	p, err := knock.BrokerPassword(secret(of), site)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// client connects as who uses the profile would, and hands what comes to a topic to a channel.
func (w *world) client(scheme, name string, password ownline.Secret, topic string) (*broker.Conn, <-chan string) {
	w.t.Helper()
	c, err := broker.New(broker.Options{URL: scheme + "://" + w.addr, Username: name, Password: password, Authorities: w.authority, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.t.Fatal(err)
	}
	got := make(chan string, 10)
	if topic != "" {
		c.Handle(topic, func(_ context.Context, payload []byte) { got <- string(payload) })
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		<-done
	})
	return c, got
}

func (w *world) receive(from <-chan string) string {
	w.t.Helper()
	select {
	case s := <-from:
		return s
	case <-time.After(30 * time.Second):
		w.t.Fatal("nothing arrives")
	}
	return ""
}

func answerTopic(n byte) string {
	return "ownline/answer/" + base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{n}, 16))
}

// Devices and guests publish, and read the answer whose topic they know, by TCP and WebSocket
// through one port, with TLS and without.
func TestServes(t *testing.T) {
	b := brokertest.Start(t)
	pair, err := tls.LoadX509KeyPair(b.CertFile, b.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	certificate := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &pair, nil }
	for name, tc := range map[string]struct {
		certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
		tcp, ws     string
	}{"plain": {nil, "tcp", "ws"}, "TLS": {certificate, "tls", "wss"}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.certificate)
			w.authority = b.Authority
			for i, scheme := range []string{tc.tcp, tc.ws} {
				topic := answerTopic(byte(i))
				c, got := w.client(scheme, w.a.String(), password(t, 1), topic)
				w.until("connected by "+scheme, func() bool { return c.Status().Connected })
				if err := c.Publish(t.Context(), "ownline/knock", []byte("answer to "+topic)); err != nil {
					t.Fatal(err)
				}
				if s := w.receive(w.got); s != "answer to "+topic {
					t.Errorf("web gets %q", s)
				}
				if s := w.receive(got); s != "here" {
					t.Errorf("the device gets %q", s)
				}
			}
			g, _ := w.client(tc.ws, "guest", ownline.Secret("open"), answerTopic(9))
			w.until("the guest is connected", func() bool { return g.Status().Connected })
			if err := g.Publish(t.Context(), "ownline/redeem", []byte("please")); err != nil || w.receive(w.got) != "please" {
				t.Error(err)
			}
			if s := w.broker.Status(); !s.Serving || s.Clients != 3 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// Another certificate counts for connections from then on; those that there are stay.
func TestAnotherCertificate(t *testing.T) {
	b := brokertest.Start(t)
	pair, err := tls.LoadX509KeyPair(b.CertFile, b.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	var shown atomic.Pointer[tls.Certificate]
	w := newWorld(t, func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		if c := shown.Load(); c != nil {
			return c, nil
		}
		return nil, errors.New("none yet")
	})
	w.authority = b.Authority
	c, _ := w.client("tls", w.a.String(), password(t, 1), answerTopic(1))
	w.until("nobody gets in without one", func() bool { return c.Status().Error != "" })
	shown.Store(&pair)
	w.until("connected", func() bool { return c.Status().Connected })
	joined := c.Counts().Connections
	_, certFile, keyFile := brokertest.Certificate(t, t.TempDir())
	other, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	shown.Store(&other)
	conn, err := tls.Dial("tcp", w.addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.ConnectionState().PeerCertificates[0]; !got.Equal(other.Leaf) {
		t.Error("the one from before is shown still")
	}
	if err := c.Publish(t.Context(), "ownline/knock", []byte("still here")); err != nil || w.receive(w.got) != "still here" || c.Counts().Connections != joined {
		t.Errorf("the connection from before: %v, %+v", err, c.Counts())
	}
}

// Nobody gets in by somebody else's password, and guests are no devices.
func TestLogin(t *testing.T) {
	w := newWorld(t, nil)
	for name, tc := range map[string]struct {
		user     string
		password ownline.Secret
	}{
		"nobody":             {"", nil},
		"without a password": {w.a.String(), nil},
		"another's password": {w.a.String(), password(t, 2)},
		"its secret":         {w.a.String(), secret(1)},
		"a stranger":         {ownline.NewID[ownline.Device]().String(), password(t, 1)},
		"a guest's":          {w.a.String(), ownline.Secret("open")},
		"the empty hash":     {"stranger", make(ownline.Secret, 32)},
	} {
		before := w.broker.Counts().Refused[login]
		c, _ := w.client("tcp", tc.user, tc.password, "")
		w.until(name+" is refused", func() bool { return strings.Contains(c.Status().Error, "name or the password") })
		if n := w.broker.Counts(); n.Refused[login] <= before || n.Connections > 0 {
			t.Errorf("%s: %+v", name, n)
		}
	}
}

// A device that is revoked is cut off at once and comes in no more; others stay.
func TestRevoked(t *testing.T) {
	w := newWorld(t, nil)
	a, _ := w.client("tcp", w.a.String(), password(t, 1), answerTopic(1))
	b, _ := w.client("ws", w.b.String(), password(t, 2), answerTopic(2))
	w.until("both are in", func() bool { return a.Status().Connected && b.Status().Connected })
	since := b.Status().Since
	w.mu.Lock()
	w.devices = w.devices[1:]
	w.mu.Unlock()
	w.changes <- access.Event{Kind: access.EventDevice}
	w.until("it is out, and refused", func() bool { return strings.Contains(a.Status().Error, "name or the password") })
	if s := b.Status(); !s.Connected || s.Since != since || w.broker.Status().Clients != 1 {
		t.Errorf("the other: %+v; %+v", s, w.broker.Status())
	}
	// A new secret makes a new password.
	w.mu.Lock()
	w.devices[0].Secret = secret(3)
	w.mu.Unlock()
	w.changes <- access.Event{Kind: access.EventDevice}
	w.until("the old password is out", func() bool { return strings.Contains(b.Status().Error, "name or the password") })
}

// raw speaks MQTT 3.1.1 by the byte.
type raw struct {
	*world
	conn net.Conn
}

func (w *world) dial() raw {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	return raw{w, conn}
}

func (w *world) raw(name string, password ownline.Secret, id string) raw {
	w.t.Helper()
	r := w.dial()
	r.send(hello(name, password, id))
	if got := r.read(4); !bytes.Equal(got, []byte{0x20, 2, 0, 0}) {
		w.t.Fatalf("welcomed by % x", got)
	}
	return r
}

// hello is a CONNECT.
func hello(name string, password ownline.Secret, id string) []byte {
	body := []byte{0, 4, 'M', 'Q', 'T', 'T', 4, 0xc0, 0, 60} // no clean session
	for _, s := range []string{id, name, string(password)} {
		body = append(append(body, 0, byte(len(s))), s...)
	}
	return append([]byte{0x10, byte(len(body))}, body...)
}

func (r raw) send(b []byte) { _, _ = r.conn.Write(b) } // it may have been cut off

func (r raw) read(n int) []byte {
	r.t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(r.conn, b); err != nil {
		r.t.Fatal(err)
	}
	return b
}

// ended reports whether the broker has hung up, whatever it had to say.
func (r raw) ended() bool {
	_, err := io.Copy(io.Discard, r.conn)
	return !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err)
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

func subscribe(id byte, filters ...string) []byte {
	body := []byte{0, id}
	for _, f := range filters {
		body = append(append(append(body, 0, byte(len(f))), f...), 1)
	}
	return append([]byte{0x82, byte(len(body))}, body...)
}

func publish(flags byte, topic, payload string) []byte {
	body := append([]byte{0, byte(len(topic))}, topic...)
	if flags&6 != 0 {
		body = append(body, 0, 7)
	}
	body = append(body, payload...)
	return append([]byte{0x30 | flags, byte(len(body))}, body...)
}

// A device reads no more than answers whose topic it knows, and publishes no more than knocks.
func TestTopics(t *testing.T) {
	w := newWorld(t, nil)
	r := w.raw(w.a.String(), password(t, 1), "x")
	for _, filter := range []string{
		"#", "+/+", "ownline/#", "ownline/answer/+", "ownline/answer/#", "ownline/knock", "ownline/redeem", "$SYS/#", "$share/g/ownline/knock",
		"$share/g/" + answerTopic(1), answerTopic(1) + "/x", answerTopic(1)[:30], "ownline/answer/" + strings.Repeat("+", 22),
	} {
		r.send(subscribe(1, filter))
		if got := r.read(5); got[0] != 0x90 || got[4] != 0x80 {
			t.Errorf("may read %s: % x", filter, got)
		}
	}
	r.send(subscribe(2, answerTopic(1)))
	if got := r.read(5); got[4] != 1 {
		t.Errorf("may not read an answer: % x", got)
	}
	for _, topic := range []string{"ownline/redeem", answerTopic(1), "ownline/knock/x", "x"} {
		r.send(publish(0, topic, "bad"))
	}
	r.send(publish(1, "ownline/knock", "retained")) // and not kept
	r.send(publish(2, "ownline/knock", "good"))
	if got := r.read(4); !bytes.Equal(got, []byte{0x40, 2, 0, 7}) {
		t.Errorf("acknowledged with % x", got)
	}
	if s := w.receive(w.got); s != "good" {
		t.Errorf("web gets %q", s)
	}
	if n := w.broker.Counts(); n.Refused[topic] != 4 || n.Refused[subscription] != 13 || n.Refused[retained] != 1 {
		t.Errorf("%+v", n)
	}
	// Answers only go to who knows the topic.
	if err := w.broker.Publish(t.Context(), answerTopic(1), []byte("for you")); err != nil {
		t.Fatal(err)
	}
	if got := r.read(2 + 2 + len(answerTopic(1)) + 2 + len("for you")); !bytes.HasSuffix(got, []byte("for you")) {
		t.Errorf("got %q", got)
	}
	// Too many topics.
	r.send(subscribe(3, strings.Split(strings.Repeat("a ", answers+1), " ")...))
	if !r.ended() {
		t.Error("may read however many topics")
	}
}

// A name that somebody else's connection has takes nothing over, and nothing outlives a
// connection: no session, no last will.
func TestNothingIsKept(t *testing.T) {
	w := newWorld(t, nil)
	a := w.raw(w.a.String(), password(t, 1), "same")
	a.send(subscribe(1, answerTopic(1)))
	a.read(5)
	b := w.raw(w.b.String(), password(t, 2), "same")
	b.send([]byte{0xc0, 0})
	b.read(2)
	a.send([]byte{0xc0, 0})
	a.read(2) // still there
	a.conn.Close()
	w.until("it is gone", func() bool { return w.broker.Status().Clients == 1 })
	w.until("nothing is kept of it", func() bool { return w.broker.server.Clients.Len() == 2 }) // the other, and web itself
	if err := w.broker.Publish(t.Context(), answerTopic(1), []byte("late")); err != nil {
		t.Fatal(err)
	}
	again := w.raw(w.a.String(), password(t, 1), "same")
	again.send([]byte{0xc0, 0})
	if got := again.read(2); got[0] != 0xd0 {
		t.Errorf("gets % x of the session before", got)
	}
}
