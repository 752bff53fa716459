package web

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/broker"
	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
)

// phone is a device that knocks through the broker.
type phone struct {
	*party
	id   ownline.DeviceID
	keys *knock.Keys
	way  broker.Options
}

func (p *party) phone() phone {
	p.t.Helper()
	if _, err := p.web.Access().AddGrant(p.t.Context(), access.Command(), access.NewGrant{User: p.host.User.ID, Service: p.service.ID, Automatic: true}); err != nil {
		p.t.Fatal(err)
	}
	return p.phoneNamed("phone")
}

func (p *party) phoneNamed(name string) phone {
	p.t.Helper()
	d, profile, err := p.web.Access().AddDevice(p.t.Context(), p.host, access.NewDevice{Site: p.service.Site, Name: name})
	if err != nil {
		p.t.Fatal(err)
	}
	keys, err := knock.DeriveKeys(profile.Key, profile.Site)
	if err != nil {
		p.t.Fatal(err)
	}
	b := profile.Broker
	return phone{p, d.ID, keys, broker.Options{URL: cmp.Or(b.URL, p.broker.WS), Username: b.Username, Password: b.Password, Log: slog.New(slog.DiscardHandler)}}
}

func newKnock(claimed string) knock.Knock {
	n := knock.Knock{Time: time.Now(), AnswerWanted: true}
	if claimed != "" {
		n.Claimed = netip.MustParseAddr(claimed)
	}
	rand.Read(n.Nonce[:])
	return n
}

// send publishes messages and returns the answer to the knock with that nonce, if one comes.
func (p phone) send(nonce knock.Nonce, wait time.Duration, messages ...[]byte) (knock.Answer, bool) {
	p.t.Helper()
	c, err := broker.New(p.way)
	if err != nil {
		p.t.Fatal(err)
	}
	answers := make(chan []byte, 10)
	c.Handle(p.keys.AnswerTopic(nonce), func(_ context.Context, payload []byte) { answers <- payload })
	ctx, cancel := context.WithCancel(p.t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			p.t.Error(err)
		}
	}()
	for !c.Status().Connected {
		time.Sleep(10 * time.Millisecond)
	}
	for _, m := range messages {
		if err := c.Publish(ctx, "ownline/knock", m); err != nil {
			p.t.Fatal(err)
		}
	}
	select {
	case m := <-answers:
		packet := knock.Packet(m)
		a, err := p.keys.OpenAnswer(&packet, nonce)
		if err != nil {
			p.t.Fatal(err)
		}
		return a, true
	case <-time.After(wait):
		return knock.Answer{}, false
	}
}

// knock sends fresh knocks until one is answered: a device that is new is not known at once.
func (p phone) knock(claimed string) (a knock.Answer) {
	p.t.Helper()
	eventually(p.t, func() string {
		n := newKnock(claimed)
		sealed := p.keys.Seal(n)
		var ok bool
		if a, ok = p.send(n.Nonce, 2*time.Second, sealed[:]); !ok {
			return "a knock is not answered"
		}
		return ""
	})
	return a
}

// Knocks through a real broker open, renew and follow the device; what is repeated, stale,
// retained or strange does nothing.
func TestKnockByBroker(t *testing.T) {
	p := newParty(t)
	d := p.phone()
	if a := d.knock("198.51.100.40"); a.Status != knock.Opened && a.Status != knock.Renewed || a.Sessions != 1 || a.Source.String() != "198.51.100.40" || time.Until(a.Expires) < time.Minute {
		t.Fatalf("the first knock: %+v", a)
	}
	held := func() (sources []string) {
		for _, s := range p.core.Sessions() {
			sources = append(sources, s.Source.String())
		}
		return sources
	}
	if got := held(); len(got) != 1 || got[0] != "198.51.100.40/32" {
		t.Fatalf("core holds %v", got)
	}
	// Renewed, as text.
	n := newKnock("198.51.100.40")
	sealed := d.keys.Seal(n)
	text := base64.RawURLEncoding.EncodeToString(sealed[:])
	if a, ok := d.send(n.Nonce, 20*time.Second, []byte(text)); !ok || a.Status != knock.Renewed || a.Sessions != 1 {
		t.Fatalf("in base64url: %+v, %v", a, ok)
	}
	// The device has moved.
	if a := d.knock("198.51.100.41"); a.Status != knock.Opened || a.Source.String() != "198.51.100.41" || len(held()) != 2 {
		t.Errorf("from another address: %+v; core holds %v", a, held())
	}
	before, revision := len(held()), p.revision()

	for name, m := range map[string]func() (knock.Nonce, []byte){
		"the same again":          func() (knock.Nonce, []byte) { return n.Nonce, sealed[:] },
		"the same again, as text": func() (knock.Nonce, []byte) { return n.Nonce, []byte(text) },
		"garbage":                 func() (knock.Nonce, []byte) { return n.Nonce, make([]byte, knock.Size) },
		"too long":                func() (knock.Nonce, []byte) { return n.Nonce, make([]byte, 2*knock.Size) },
		"without a source":        func() (knock.Nonce, []byte) { return d.sealed(newKnock("")) },
		"for a private address":   func() (knock.Nonce, []byte) { return d.sealed(newKnock("192.168.7.20")) },
		"for carrier NAT":         func() (knock.Nonce, []byte) { return d.sealed(newKnock("100.64.0.7")) },
		"too old": func() (knock.Nonce, []byte) {
			n := newKnock("198.51.100.50")
			n.Time = n.Time.Add(-61 * time.Second)
			return d.sealed(n)
		},
		"from the future": func() (knock.Nonce, []byte) {
			n := newKnock("198.51.100.50")
			n.Time = n.Time.Add(70 * time.Second)
			return d.sealed(n)
		},
		"counted over UDP already": func() (knock.Nonce, []byte) {
			n := newKnock("198.51.100.41")
			if _, _, err := p.web.Access().Knock(t.Context(), p.service.Site, link.Knocked{Device: d.id, Nonce: n.Nonce[:], Made: n.Time.Truncate(time.Millisecond), Source: n.Claimed, Claimed: n.Claimed, Skew: time.Minute}); err != nil {
				t.Fatal(err)
			}
			revision = p.revision()
			return d.sealed(n)
		},
	} {
		t.Run(name, func(t *testing.T) {
			nonce, message := m()
			if a, ok := d.send(nonce, 500*time.Millisecond, message, message); ok || len(held()) != before || p.revision() != revision {
				t.Errorf("answered %+v, %v; core holds %v", a, ok, held())
			}
		})
	}

	t.Run("no answer wanted", func(t *testing.T) {
		n := newKnock("198.51.100.60")
		n.AnswerWanted = false
		sealed := d.keys.Seal(n)
		if a, ok := d.send(n.Nonce, 500*time.Millisecond, sealed[:]); ok {
			t.Errorf("answered %+v", a)
		}
		eventually(t, func() string {
			if len(held()) != before+1 {
				return "nothing is opened"
			}
			return ""
		})
	})
	// What the broker has kept from before, and a broker that was started anew.
	t.Run("retained", func(t *testing.T) {
		p.broker.Retain("ownline/knock", string(sealed[:]))
		p.broker.Down()
		p.broker.Up()
		p.broker.Retain("ownline/knock", string(sealed[:]))
		holds := len(held())
		if a := d.knock("198.51.100.41"); a.Status != knock.Renewed || len(held()) != holds {
			t.Errorf("%+v; core holds %v", a, held())
		}
	})
	t.Run("core is away", func(t *testing.T) {
		p.core.Stop()
		n := newKnock("198.51.100.80")
		sealed := d.keys.Seal(n)
		if a, ok := d.send(n.Nonce, time.Second, sealed[:]); ok {
			t.Errorf("answered %+v", a)
		}
		p.core.Start()
		eventually(t, func() string {
			for _, s := range held() {
				if s == "198.51.100.80/32" {
					return ""
				}
			}
			return "what was knocked for meanwhile is not open"
		})
	})
	t.Run("revoked", func(t *testing.T) {
		if _, err := p.web.Access().RevokeDevice(t.Context(), p.host, d.id); err != nil {
			t.Fatal(err)
		}
		n := newKnock("198.51.100.41")
		sealed := d.keys.Seal(n)
		if a, ok := d.send(n.Nonce, 500*time.Millisecond, sealed[:]); ok || len(held()) != 0 {
			t.Errorf("answered %+v, %v; core holds %v", a, ok, held())
		}
	})
}

func (p phone) sealed(n knock.Knock) (knock.Nonce, []byte) {
	sealed := p.keys.Seal(n)
	return n.Nonce, sealed[:]
}

// revision counts what has changed at the site.
func (p *party) revision() uint64 {
	p.t.Helper()
	st, _, err := p.web.Access().Desired(p.t.Context(), p.service.Site)
	if err != nil {
		p.t.Fatal(err)
	}
	return st.Revision.Revision
}
