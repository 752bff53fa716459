package access_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/store"
)

// published makes web one that is published, whose site's core has just told of a proxy.
func published(t *testing.T) (*house, func() []ownline.Service) {
	t.Helper()
	h := newHouse(t)
	h.publish = netip.MustParseAddrPort("192.168.7.5:8080")
	h.Access = h.with(h.cores)
	h.tell(link.Proxy{Driver: "embedded", Domain: "home.example.org", Port: 9999})
	return h, func() []ownline.Service {
		t.Helper()
		ss, err := h.ServicesNamed(t.Context(), h.bob, ownline.OwnService)
		if err != nil {
			t.Fatal(err)
		}
		return ss
	}
}

func (h *house) tell(p link.Proxy) {
	h.t.Helper()
	st, err := h.cores.Pair(h.t.Context(), "")
	st.Proxy = p
	if err == nil {
		err = h.Told(h.t.Context(), h.site.ID, st)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func TestOwnService(t *testing.T) {
	h, own := published(t)
	ctx := t.Context()
	if len(own()) != 1 {
		t.Fatal("bob, who has no grant, does not see it")
	}
	s := own()[0]
	if s.Target4 != h.publish || !s.Everybody || s.Kind != ownline.Proxy || s.URL() != "https://ownline.home.example.org:9999/" {
		t.Errorf("it is %+v", s)
	}
	if sites, err := h.Sites(ctx, h.bob); err != nil || len(sites) != 1 {
		t.Errorf("bob's sites: %+v, %v", sites, err)
	}
	e := h.open(h.bob, access.OpenAsk{Service: s.ID})
	if e.PublicPort != 9999 || e.Target.IsValid() {
		t.Errorf("bob's session is %+v", e)
	}

	// It is as web wants it, and nobody's to change but for its picture.
	name, icon, target := "mine", "terminal", netip.MustParseAddrPort("192.168.7.66:80")
	for what, err := range map[string]error{
		"renamed":   second(h.ChangeService(ctx, command, s.ID, access.ServiceChange{Name: &name})),
		"led away":  second(h.ChangeService(ctx, command, s.ID, access.ServiceChange{Target4: &target})),
		"removed":   h.RemoveService(ctx, command, s.ID),
		"named so":  second(h.ChangeService(ctx, command, h.ssh.ID, access.ServiceChange{Name: &s.Name})),
		"granted":   second(h.AddGrant(ctx, command, access.NewGrant{User: h.bob.User.ID, Service: s.ID})),
		"made":      second(h.AddService(ctx, command, access.NewService{Site: h.site.ID, Name: s.Name, Target4: target})),
		"given out": invited(h.Invite(ctx, h.bob, access.NewInvitation{Service: s.ID})),
	} {
		if !errors.Is(err, ownline.ErrConflict) && !errors.Is(err, ownline.ErrInvalid) {
			t.Errorf("it could be %s: %v", what, err)
		}
	}
	if _, err := h.ChangeService(ctx, command, s.ID, access.ServiceChange{Icon: &icon}); err != nil {
		t.Error(err)
	}
	if err := h.KeepOwn(ctx); err != nil {
		t.Fatal(err)
	}
	if got := own()[0]; got.ID != s.ID || got.Name != s.Name || got.Target4 != s.Target4 || got.Icon != icon {
		t.Errorf("it became %+v", got)
	}

	// A site that is paired with has it at once.
	h.cores.proxy = link.Proxy{Driver: "nginx", Domain: "work.example.org", Port: 443}
	code := link.Code{Addr: "w:1", Pin: link.Pin("BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), Token: "t"}.String()
	work, err := h.PairSite(ctx, command, code, "work", "work.example.org")
	if err != nil {
		t.Fatal(err)
	}
	if ss := own(); len(ss) != 2 || ss[0].Site != work.ID && ss[1].Site != work.ID {
		t.Errorf("there are %+v", ss)
	}
	if err := h.RemoveSite(ctx, command, work.ID); err != nil {
		t.Error(err)
	}

	// Another address is followed; one that the router can't reach is not.
	for _, publish := range []string{"[fd00:7::5]:80", "10.0.0.1:80"} {
		h.publish = netip.MustParseAddrPort(publish)
		h.Access = h.with(h.cores)
		if err := h.KeepOwn(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if got := own()[0]; got.Target6.String() != "[fd00:7::5]:80" || got.Target4.IsValid() || !got.Everybody {
		t.Errorf("it leads to %+v", got)
	}

	// Published no more, it is for nobody without a grant, and can be removed.
	h.publish = netip.AddrPort{}
	h.Access = h.with(h.cores)
	if err := h.KeepOwn(ctx); err != nil {
		t.Fatal(err)
	}
	if len(own()) != 0 {
		t.Error("bob sees it still")
	}
	if state, why := h.state(e.ID); state != ownline.Ended || why != ownline.Revoked {
		t.Errorf("bob's session is %s %s", state, why)
	}
	if err := h.RemoveService(ctx, command, s.ID); err != nil {
		t.Error(err)
	}
}

func second[T any](_ T, err error) error { return err }

func invited(_ ownline.InvitationInfo, _ ownline.Secret, err error) error { return err }

// A forward that has the name already stays what it is.
func TestOwnNameTaken(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	if err := h.store.Write(ctx, func(tx *store.Tx) error {
		s := h.ssh
		s.Name = ownline.OwnService
		return tx.SaveService(s)
	}); err != nil {
		t.Fatal(err)
	}
	h.publish = netip.MustParseAddrPort("192.168.7.5:8080")
	h.Access = h.with(h.cores)
	h.tell(link.Proxy{Driver: "embedded", Domain: "home.example.org", Port: 9999})
	ss, err := h.ServicesNamed(ctx, command, ownline.OwnService)
	if err != nil || len(ss) != 1 || ss[0].Kind != ownline.Forward || ss[0].Everybody || ss[0].Target4 != h.ssh.Target4 {
		t.Errorf("there is %+v, %v", ss, err)
	}
}
