package access_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
)

// Invariant 7: only a browser that is signed in gets a pass, for a service that its user may
// use, and loses it with that.
func TestPass(t *testing.T) {
	h, _ := published(t)
	ctx := t.Context()
	wiki, err := h.AddService(ctx, command, access.NewService{
		Site: h.site.ID, Name: "wiki", Kind: ownline.Proxy, Target4: h.ssh.Target4, Proxy: ownline.ProxyOptions{RequireLogin: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	open, err := h.AddService(ctx, command, access.NewService{Site: h.site.ID, Name: "open", Kind: ownline.Proxy, Target4: h.ssh.Target4})
	if err != nil {
		t.Fatal(err)
	}
	login := func(a access.Actor, hash string) ownline.LoginID {
		l := ownline.Login{ID: ownline.NewID[ownline.Login](), User: a.User.ID, Created: time.Now(), Seen: time.Now(), Expires: time.Now().Add(time.Hour)}
		if err := h.store.AddLogin(ctx, l, []byte(hash)); err != nil {
			t.Fatal(err)
		}
		return l.ID
	}
	grant := func(s ownline.Service) ownline.Grant {
		g, err := h.AddGrant(ctx, command, access.NewGrant{User: h.ana.User.ID, Service: s.ID})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	g := grant(wiki)
	grant(open)
	hers, roots := login(h.ana, "a"), login(h.root, "r")
	good := access.PassAsk{Login: hers, Service: wiki.ID, State: strings.Repeat("A", 43), To: "/page?x=1"}
	held := func() (n int) {
		t.Helper()
		st, _, err := h.Desired(ctx, h.site.ID)
		if err != nil || st.Pages != "https://ownline.home.example.org:9999" {
			t.Errorf("the state has pages at %q, %v", st.Pages, err)
		}
		return len(st.Passes)
	}

	with := func(edit func(*access.PassAsk)) access.PassAsk { ask := good; edit(&ask); return ask }
	token := h.ana
	token.By = access.ByToken
	before := h.count()
	for what, tc := range map[string]struct {
		who  access.Actor
		ask  access.PassAsk
		want error
	}{
		"nobody":                   {access.Actor{}, good, ownline.ErrUnauthorized},
		"a token":                  {token, good, ownline.ErrForbidden},
		"no login":                 {h.ana, with(func(p *access.PassAsk) { p.Login = ownline.LoginID{} }), ownline.ErrForbidden},
		"another user's login":     {h.ana, with(func(p *access.PassAsk) { p.Login = roots }), ownline.ErrUnauthorized},
		"no grant":                 {h.bob, with(func(p *access.PassAsk) { p.Login = login(h.bob, "b") }), ownline.ErrForbidden},
		"an admin without a grant": {h.root, with(func(p *access.PassAsk) { p.Login = roots }), ownline.ErrForbidden},
		"no such service":          {h.ana, with(func(p *access.PassAsk) { p.Service = ownline.NewID[ownline.Service]() }), ownline.ErrForbidden},
		"one without a login":      {h.ana, with(func(p *access.PassAsk) { p.Service = open.ID }), ownline.ErrConflict},
		"no state":                 {h.ana, with(func(p *access.PassAsk) { p.State = "" }), ownline.ErrInvalid},
		"another address":          {h.ana, with(func(p *access.PassAsk) { p.To = "https://evil.example" }), ownline.ErrInvalid},
	} {
		if _, err := h.Pass(ctx, tc.who, tc.ask); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", what, err, tc.want)
		}
	}
	if after := h.count(); after != before || held() != 0 || len(h.cores.passes) != 0 {
		t.Errorf("something changed: %s, %s; %v", before, after, h.cores.passes)
	}

	at, err := h.Pass(ctx, h.ana, good)
	if err != nil || !strings.HasPrefix(at, "https://wiki.home.example.org:9999/.ownline/login?code=") || !strings.HasSuffix(at, "&to=%2Fpage%3Fx%3D1") {
		t.Fatalf("%q, %v", at, err)
	}
	if p := h.cores.passes; held() != 1 || len(p) != 1 || p[0].Login != hers || p[0].User != "ana" || time.Until(p[0].Expires) > time.Hour {
		t.Errorf("core was told %+v", p)
	}
	if err := h.RemoveGrant(ctx, command, g.ID); err != nil {
		t.Fatal(err)
	}
	if held() != 0 {
		t.Error("a pass outlived the grant")
	}

	// An admin needs no grant to open a session, and has the pass for as long as that.
	e := h.open(h.root, access.OpenAsk{Service: wiki.ID})
	if _, err := h.Pass(ctx, h.root, with(func(p *access.PassAsk) { p.Login = roots })); err != nil || held() != 1 {
		t.Errorf("with a session: %v, %d held", err, held())
	}
	if _, err := h.Close(ctx, h.root, e.ID); err != nil || held() != 0 {
		t.Errorf("%v; %d passes after the session", err, held())
	}

	g = grant(wiki)
	if _, err := h.Pass(ctx, h.ana, good); err != nil || held() != 1 {
		t.Fatal(err)
	}
	disabled := true
	if _, err := h.ChangeUser(ctx, command, h.ana.User.ID, access.UserChange{Disabled: &disabled}); err != nil || held() != 0 {
		t.Errorf("%v; %d passes of a disabled user", err, held())
	}
	if _, err := h.Pass(ctx, h.ana, good); err == nil {
		t.Error("a disabled user got a pass")
	}
}

// A login in front of a service needs a place to log in.
func TestNowhereToLogIn(t *testing.T) {
	h := newHouse(t)
	h.tell(h.cores.proxy)
	_, err := h.AddService(t.Context(), command, access.NewService{
		Site: h.site.ID, Name: "wiki", Kind: ownline.Proxy, Target4: h.ssh.Target4, Proxy: ownline.ProxyOptions{RequireLogin: true},
	})
	if !errors.Is(err, ownline.ErrConflict) || field(err) != "options.require_login" {
		t.Errorf("%v", err)
	}
}

// The audit log tells that the login in front of a service went away.
func TestServiceChangeTold(t *testing.T) {
	h, _ := published(t)
	ctx := t.Context()
	wiki, err := h.AddService(ctx, command, access.NewService{
		Site: h.site.ID, Name: "wiki", Kind: ownline.Proxy, Target4: h.ssh.Target4, Proxy: ownline.ProxyOptions{RequireLogin: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.ChangeService(ctx, command, wiki.ID, access.ServiceChange{Proxy: &ownline.ProxyOptions{}}); err != nil {
		t.Fatal(err)
	}
	lines, _, err := h.Audit(ctx, h.root, ownline.AuditQuery{})
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, l := range lines {
		if l.Subject == wiki.ID.String() {
			told[l.Action] = l.Detail
		}
	}
	if !strings.HasSuffix(told["service.change"], "; require_login on -> off") || !strings.HasSuffix(told["service.add"], "; require_login off -> on") {
		t.Errorf("the audit log says %q", told)
	}
}
