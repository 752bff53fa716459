package web

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/broker"
	"github.com/ownline/ownline/internal/broker/brokertest"
	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/invitation"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/sites/coretest"
)

// party is a server with a core and a broker, and an admin who invites.
type party struct {
	t       *testing.T
	web     *Web
	broker  *brokertest.Broker
	core    *coretest.Server
	host    access.Actor
	service ownline.Service
}

func newParty(t *testing.T, set ...func(*config.Web)) *party {
	t.Helper()
	p := &party{t: t, broker: brokertest.Start(t), core: coretest.Serve(t, coretest.New("token"))}
	p.web = open(t, func(c *config.Web) {
		c.MQTT.URL = p.broker.TCP
		for _, f := range set {
			f(c)
		}
	})
	_, stop := serve(t, p.web, nil)
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	a, ctx := p.web.Access(), t.Context()
	site, err := a.PairSite(ctx, access.Command(), p.core.Code("token"), "home", "home.example.org")
	if err != nil {
		t.Fatal(err)
	}
	u, err := a.AddUser(ctx, access.Command(), access.NewUser{Name: "ana", Password: "four words are enough", Role: ownline.Admin})
	if err != nil {
		t.Fatal(err)
	}
	p.host = access.Actor{User: u, By: access.ByLogin}
	if p.service, err = a.AddService(ctx, access.Command(), access.NewService{Site: site.ID, Name: "photos", Icon: "image", Target4: netip.MustParseAddrPort("192.168.7.10:80")}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string {
		if p.web.broker.Status().Connected {
			return ""
		}
		return "web does not find the broker"
	})
	return p
}

// guest is somebody with a link and a broker.
type guest struct {
	*party
	id   ownline.InvitationID
	keys *invitation.Keys
}

func (p *party) invite(n access.NewInvitation) guest {
	p.t.Helper()
	n.Service = p.service.ID
	i, secret, err := p.web.Access().Invite(p.t.Context(), p.host, n)
	if err != nil {
		p.t.Fatal(err)
	}
	derived, err := invitation.Derive(secret)
	if err != nil {
		p.t.Fatal(err)
	}
	keys, err := invitation.ParseKeys(derived)
	if err != nil {
		p.t.Fatal(err)
	}
	g := guest{p, i.ID, keys}
	eventually(p.t, func() string {
		a := newAsk(invitation.Show, "198.51.100.99")
		if _, ok := g.send(a.Nonce, 300*time.Millisecond, keys.SealAsk(a)); ok {
			return ""
		}
		return "the new invitation is not answered for"
	})
	return g
}

func newAsk(kind invitation.Kind, source string) invitation.Ask {
	a := invitation.Ask{Kind: kind, Time: time.Now(), Source: netip.MustParseAddr(source)}
	rand.Read(a.Nonce[:])
	return a
}

// send publishes messages and returns the reply to the ask with that nonce, if one comes.
func (g guest) send(nonce invitation.Nonce, wait time.Duration, messages ...[]byte) (invitation.Reply, bool) {
	g.t.Helper()
	c, err := broker.New(broker.Options{URL: g.broker.WS, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		g.t.Fatal(err)
	}
	replies := make(chan []byte, 10)
	c.Handle(g.keys.AnswerTopic(nonce), func(_ context.Context, payload []byte) { replies <- payload })
	ctx, cancel := context.WithCancel(g.t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			g.t.Error(err)
		}
	}()
	for !c.Status().Connected {
		time.Sleep(10 * time.Millisecond)
	}
	for _, m := range messages {
		if err := c.Publish(ctx, "ownline/redeem", m); err != nil {
			g.t.Fatal(err)
		}
	}
	select {
	case m := <-replies:
		r, err := g.keys.OpenReply(m, nonce)
		if err != nil {
			g.t.Fatal(err)
		}
		return r, true
	case <-time.After(wait):
		return invitation.Reply{}, false
	}
}

func (g guest) ask(kind invitation.Kind, source string) invitation.Reply {
	g.t.Helper()
	a := newAsk(kind, source)
	r, ok := g.send(a.Nonce, 20*time.Second, g.keys.SealAsk(a))
	if !ok {
		g.t.Fatal("no reply comes")
	}
	return r
}

func (g guest) used() int {
	g.t.Helper()
	i, err := g.web.Access().Invitation(g.t.Context(), access.Command(), g.id)
	if err != nil {
		g.t.Fatal(err)
	}
	return i.Used
}

// A guest redeems through a real broker; repeated, stale and strange messages do nothing.
func TestSealedRedeem(t *testing.T) {
	p := newParty(t)
	g := p.invite(access.NewInvitation{Uses: 2, Message: "For you", For: 10 * time.Minute})
	if r := g.ask(invitation.Show, "198.51.100.40"); r.Status != invitation.Valid || r.Host != "home.example.org" || r.Service != "photos" || r.Icon != "image" || r.From != "ana" || r.Message != "For you" || r.Seconds != 600 || r.Left != 2 {
		t.Errorf("shown: %+v", r)
	}
	if g.used() != 0 || len(p.core.Sessions()) != 0 {
		t.Fatal("looking has opened something")
	}
	first := newAsk(invitation.Redeem, "198.51.100.40")
	sealed := g.keys.SealAsk(first)
	r, ok := g.send(first.Nonce, 20*time.Second, make([]byte, invitation.AskSize), []byte("garbage"), sealed, sealed)
	if !ok || r.Status != invitation.Opened || r.Port == 0 || r.Source != "198.51.100.40/32" || r.Host != "home.example.org" {
		t.Fatalf("redeemed: %+v, %v", r, ok)
	}
	if g.used() != 1 || len(p.core.Sessions()) != 1 {
		t.Errorf("one redeem: %d uses, core holds %d", g.used(), len(p.core.Sessions()))
	}
	// The same guest asks again: the same session.
	if again := g.ask(invitation.Redeem, "198.51.100.40"); again.Port != r.Port || again.Expires != r.Expires || g.used() != 1 {
		t.Errorf("again: %+v, %d uses", again, g.used())
	}
	// Somebody who has recorded it sends it again when the session is over, also to a web that
	// was started anew.
	ss, _, err := p.web.Access().Sessions(t.Context(), access.Command(), access.SessionsAsk{All: true})
	if err != nil || len(ss) != 1 {
		t.Fatal(len(ss), err)
	}
	if _, err := p.web.Access().Close(t.Context(), access.Command(), ss[0].ID); err != nil {
		t.Fatal(err)
	}
	if r, ok := g.send(first.Nonce, time.Second, sealed); ok {
		t.Errorf("a repeated message is answered: %+v", r)
	}
	if _, err := p.web.Access().Redeem(t.Context(), access.Guest{Sealed: g.id, Nonce: first.Nonce[:], Source: first.Source}); err == nil {
		t.Error("the database has forgotten that the message has counted")
	}
	if g.used() != 1 || len(p.core.Sessions()) != 0 {
		t.Errorf("after a repetition: %d uses, core holds %d", g.used(), len(p.core.Sessions()))
	}
	// A picture has no room in a reply, and the page draws a letter.
	if _, err := p.web.Access().SetIcon(t.Context(), p.host, p.service.ID, []byte(`<svg xmlns="http://www.w3.org/2000/svg"></svg>`)); err != nil {
		t.Fatal(err)
	}
	if r := g.ask(invitation.Show, "198.51.100.40"); r.Status != invitation.Valid || r.Icon != "" {
		t.Errorf("with a picture: %+v", r)
	}
	late := newAsk(invitation.Redeem, "198.51.100.40")
	late.Time = late.Time.Add(-invitation.Window - time.Second)
	if r, ok := g.send(late.Nonce, 20*time.Second, g.keys.SealAsk(late)); !ok || r.Status != invitation.Clock || g.used() != 1 {
		t.Errorf("by a wrong clock: %+v, %v, %d uses", r, ok, g.used())
	}
	if r := g.ask(invitation.Redeem, "192.168.7.3"); r.Status != invitation.Refused || r.Detail == "" || r.Code != "source_not_public" || r.Params["address"] != "192.168.7.3" {
		t.Errorf("for a private address: %+v", r)
	}
	p.core.Stop()
	if r := g.ask(invitation.Redeem, "198.51.100.41"); r.Status != invitation.Unavailable || g.used() != 1 {
		t.Errorf("without core: %+v, %d uses", r, g.used())
	}
	if _, err := p.web.Access().RevokeInvitation(t.Context(), p.host, g.id); err != nil {
		t.Fatal(err)
	}
	if r := g.ask(invitation.Redeem, "198.51.100.42"); r.Status != invitation.Revoked {
		t.Errorf("revoked: %+v", r)
	}
}
