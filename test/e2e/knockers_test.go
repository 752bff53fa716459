package e2e

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/broker"
	"github.com/ownline/ownline/internal/broker/brokertest"
	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/world"
)

// knocker is a device that moves on with every knock, through the broker inside web.
type knocker struct {
	*suite
	options broker.Options
	keys    *knock.Keys
	number  byte
	at      int // of its sources, the one that it knocks from

	stays *broker.Conn // comes back by itself
	last  knock.Nonce  // of the knock that it is for
	told  chan []byte  // what it got

	answered []answered
	silent   int // knocks that got no answer
	opened   map[netip.Addr]int
}

// answered is a knock that web has taken, for sure.
type answered struct {
	source netip.Addr
	packet knock.Packet
}

func (k *knocker) source() netip.Addr {
	return netip.AddrFrom4([4]byte{203, k.number, byte(k.at / 250), byte(1 + k.at%250)})
}

func (s *suite) knocker(number byte, url string, authorities *x509.CertPool) *knocker {
	s.t.Helper()
	d, err := s.NewDevice(s.t.Context(), fmt.Sprintf("knocker %d", number), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	p, err := ownline.ParseProfile(d.Profile)
	if err != nil {
		s.t.Fatal(err)
	}
	k := &knocker{
		suite: s, number: number, told: make(chan []byte, 1), opened: map[netip.Addr]int{},
		options: broker.Options{URL: url, Username: p.Broker.Username, Password: p.Broker.Password, Authorities: authorities, Log: slog.New(slog.DiscardHandler)},
	}
	if k.keys, err = knock.DeriveKeys(p.Key, p.Site); err != nil {
		s.t.Fatal(err)
	}
	rand.Read(k.last[:])
	if k.stays, err = k.connection(k.last, k.told); err != nil {
		s.t.Fatal(err)
	}
	return k
}

// connection is one that gets the answer to a knock.
func (k *knocker) connection(n knock.Nonce, answers chan<- []byte) (*broker.Conn, error) {
	c, err := broker.New(k.options)
	if err == nil {
		c.Handle(k.keys.AnswerTopic(n), func(_ context.Context, payload []byte) {
			select {
			case answers <- payload:
			default: // one that nobody waits for any more
			}
		})
	}
	return c, err
}

// publish says it twice: what is repeated must not count again.
func (k *knocker) publish(ctx context.Context, c *broker.Conn, packets ...knock.Packet) error {
	for _, p := range packets {
		for range 2 {
			if err := c.Publish(ctx, ownline.DefaultTopic, p[:]); err != nil {
				return err
			}
		}
	}
	return nil
}

// take notes an answer.
func (k *knocker) take(payload []byte, n knock.Nonce, sent knock.Packet) error {
	if len(payload) != knock.Size {
		return fmt.Errorf("the answer has %d bytes", len(payload))
	}
	packet := knock.Packet(payload)
	a, err := k.keys.OpenAnswer(&packet, n)
	if err != nil {
		return err
	}
	if a.Status != knock.Opened && a.Status != knock.Renewed || a.Sessions != 1 || a.Source != k.source() {
		return fmt.Errorf("it knocked from %s, and is told %+v", k.source(), a)
	}
	if a.Status == knock.Opened {
		k.opened[a.Source]++
	}
	k.answered = append(k.answered, answered{a.Source, sent})
	return nil
}

// knock knocks once, on a connection of its own, and reports whether there was an answer.
func (k *knocker) knock(ctx context.Context) (bool, error) {
	n := (&world.Device{}).Knock()
	n.Claimed = k.source()
	got := make(chan []byte, 1)
	c, err := k.connection(n.Nonce, got)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = c.Run(ctx) // ends with ctx
	}()
	defer func() {
		cancel()
		<-over
	}()
	for !c.Status().Connected {
		select {
		case <-ctx.Done():
			return false, nil
		case <-time.After(20 * time.Millisecond):
		}
	}
	// Sealed as late as this: a knock from before web's start counts no more.
	n.Time = time.Now()
	packet := k.keys.Seal(n)
	if k.publish(ctx, c, packet) != nil {
		return false, nil
	}
	select {
	case payload := <-got:
		return true, k.take(payload, n.Nonce, packet)
	case <-time.After(3 * time.Second):
	case <-ctx.Done():
	}
	return false, nil
}

// work knocks until ctx ends, from the same address until there is an answer.
func (k *knocker) work(ctx context.Context) {
	for ctx.Err() == nil {
		switch ok, err := k.knock(ctx); {
		case err != nil:
			k.t.Error(err)
			return
		case ok:
			k.at++
			select {
			case <-time.After(mathrand.N(time.Second)):
			case <-ctx.Done():
			}
		case ctx.Err() == nil:
			k.silent++
		}
	}
}

// finish knocks from one address more, on the connection that has been there from the start, after
// the last knocks that were answered were repeated there.
func (k *knocker) finish() {
	k.at++
	eventually(k.t, 2*time.Minute, "the device comes back", func() bool { return k.stays.Status().Connected })
	for _, a := range k.answered[max(0, len(k.answered)-5):] {
		if err := k.publish(k.t.Context(), k.stays, a.packet); err != nil {
			k.t.Error(err)
		}
	}
	n := (&world.Device{}).Knock()
	n.Nonce, n.Claimed = k.last, k.source()
	packet := k.keys.Seal(n)
	if err := k.publish(k.t.Context(), k.stays, packet); err != nil {
		k.t.Error(err)
		return
	}
	select {
	case payload := <-k.told:
		if err := k.take(payload, n.Nonce, packet); err != nil {
			k.t.Error(err)
		}
	case <-time.After(patience):
		k.t.Errorf("device %d is back, and its knock gets no answer", k.number)
	}
}

// Invariants 2, 5 and 10 through the broker inside web: a web that is killed again and again while
// many devices knock has counted every knock once. No session that a device was told of is lost, none is
// there twice, and all devices come back.
func TestKilledWhileKnocking(t *testing.T) {
	const devices = 24
	lan, here := netip.MustParseAddr("192.168.7.10"), netip.MustParseAddr("127.0.0.1")
	authorities, cert, key := brokertest.Certificate(t, t.TempDir(), lan, here)
	s := start(t, world.Options{Quiet: true, WebYAML: fmt.Sprintf(`sessions: {automatic: 1h, roaming_overlap: %s}
mqtt:
  embedded: {listen: "%s:8883", url: "tls://%s:8883", cert_file: %q, key_file: %q}
  devices: {ca_file: %q, address_urls: ["stun:192.0.2.1:3478"]}
`, overlap, lan, lan, cert, key, cert)})
	s.grant(s.echo, world.Map{"automatic": true})
	l, err := net.Listen("tcp", netip.AddrPortFrom(here, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	relay(t, l, func() (net.Conn, error) {
		return s.Bed.Router.Dial("tcp", netip.AddrPortFrom(lan, 8883), 5*time.Second)
	})
	var staying sync.WaitGroup
	life, leave := context.WithCancel(t.Context())
	defer staying.Wait()
	defer leave()
	knockers := make([]*knocker, devices)
	for i := range knockers {
		k := s.knocker(byte(i), "tls://"+l.Addr().String(), authorities)
		knockers[i] = k
		staying.Go(func() { _ = k.stays.Run(life) })
	}
	eventually(t, patience, "all devices are there", func() bool {
		for _, k := range knockers {
			if !k.stays.Status().Connected {
				return false
			}
		}
		return true
	})
	restart := func() {
		t.Helper()
		if err := s.Web.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := s.Web.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.WaitConnected(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithTimeout(life, soak(t, 6*time.Second))
	defer stop()
	var working sync.WaitGroup
	defer working.Wait()
	for _, k := range knockers {
		working.Go(func() { k.work(ctx) })
	}
	kills := 0
	for ; ctx.Err() == nil; kills++ {
		time.Sleep(500*time.Millisecond + mathrand.N(1500*time.Millisecond))
		restart()
	}
	working.Wait()
	restart() // so that what is repeated now is known by the database alone
	for _, k := range knockers {
		working.Go(k.finish)
	}
	working.Wait()

	eventually(t, patience, "one session is left for each device, and core has it", func() bool { return len(s.sessions()) == devices && s.agree() })
	sessions := s.bySource()
	taken, silent := 0, 0
	for _, k := range knockers {
		taken += len(k.answered)
		silent += k.silent
		for _, a := range k.answered {
			if n := len(sessions[a.source]); n != 1 {
				t.Errorf("device %d was told of a session for %s, and there are %d", k.number, a.source, n)
			}
			if k.opened[a.source] > 1 {
				t.Errorf("device %d was told %d times that its session for %s was opened", k.number, k.opened[a.source], a.source)
			}
		}
		if x := sessions[k.source()]; len(x) != 1 || x[0].State != "active" {
			t.Errorf("device %d is at %s, and has %+v there", k.number, k.source(), x)
		}
	}
	for source, x := range sessions {
		if len(x) != 1 {
			t.Errorf("%d sessions for %s", len(x), source)
		}
	}
	if taken < 2*devices || kills == 0 {
		t.Errorf("%d knocks answered, %d kills: the test tests little", taken, kills)
	}
	t.Logf("%d kills, %d knocks answered, %d not, %d sessions", kills, taken, silent, len(sessions))
}

// bySource are all sessions that there ever were.
func (s *suite) bySource() map[netip.Addr][]world.Session {
	s.t.Helper()
	all := map[netip.Addr][]world.Session{}
	for path := "/sessions?all=true&limit=200"; path != ""; {
		var l world.List[world.Session]
		s.call("GET", path, nil, &l)
		for _, x := range l.Items {
			all[x.Source.Addr()] = append(all[x.Source.Addr()], x)
		}
		if path = ""; l.Next != "" {
			path = "/sessions?all=true&limit=200&cursor=" + l.Next
		}
	}
	return all
}
