package sites_test

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
)

var (
	proxy = link.Proxy{Driver: "embedded", Domain: "home.example.org", Port: 9999, OK: true}
	home6 = netip.MustParseAddr("2001:db8:7:1::5")
)

// proxied makes a world whose core has a proxy.
func proxied(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.halt()
	w.lookEvery = 10 * time.Millisecond
	w.start()
	w.live()
	w.core.SetProxy(proxy)
	w.until("the site has a proxy", func() bool { return w.siteNow().Proxy.Serves() })
	return w
}

func (w *world) siteNow() ownline.SiteInfo {
	w.t.Helper()
	s, err := w.Site(w.t.Context(), access.Command(), w.site.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) serves(name string) (link.Service, bool) {
	ss := w.core.Services()
	i := slices.IndexFunc(ss, func(s link.Service) bool { return s.Name == name })
	if i < 0 {
		return link.Service{}, false
	}
	return ss[i], true
}

// Core learns of proxied services as they change, and of sessions of both families, which all
// share the proxy's port.
func TestProxied(t *testing.T) {
	w := proxied(t)
	ctx := t.Context()
	n := access.NewService{
		Site: w.site.ID, Name: "wiki", Kind: ownline.Proxy, Target4: netip.MustParseAddrPort("192.168.7.12:80"),
		Proxy: ownline.ProxyOptions{PathPrefix: "/wiki"},
	}
	wiki, err := w.AddService(ctx, access.Command(), n)
	if err != nil {
		t.Fatal(err)
	}
	want := link.Service{ID: wiki.ID, Name: "wiki", Target4: n.Target4, Options: n.Proxy}
	if got, ok := w.serves("wiki"); !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("core serves %+v, want %+v", got, want)
	}
	n.Name = "mail"
	mail, err := w.AddService(ctx, access.Command(), n)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []ownline.Service{wiki, mail} {
		if _, err := w.AddGrant(ctx, access.Command(), access.NewGrant{User: w.ana.User.ID, Service: s.ID, Automatic: true}); err != nil {
			t.Fatal(err)
		}
	}
	for _, from := range []netip.Addr{home, home6} {
		a := w.knock(w.knocked(from))
		if a == nil || a.Status != knock.Opened || len(a.Sessions) != 3 {
			t.Fatalf("a knock from %s: %+v", from, a)
		}
		for i, r := range a.Results {
			if l := a.Sessions[i]; r.Problem != nil || l.Kind == ownline.Proxy && (l.PublicPort != 9999 || l.ServiceID != wiki.ID && l.ServiceID != mail.ID) {
				t.Errorf("core holds %+v: %v", l, r.Problem)
			}
		}
	}
	w.converge()
	if _, err := w.Open(ctx, w.ana, access.OpenAsk{Service: wiki.ID}); err != nil {
		t.Error(err)
	}
	live := len(w.sessions())

	// Other options reach core, and end nothing.
	o := ownline.ProxyOptions{Scheme: ownline.SchemeH2C}
	if _, err := w.ChangeService(ctx, access.Command(), wiki.ID, access.ServiceChange{Proxy: &o}); err != nil {
		t.Fatal(err)
	}
	if got, _ := w.serves("wiki"); got.Options.Scheme != ownline.SchemeH2C || len(w.core.Sessions()) != live || len(w.sessions()) != live {
		t.Errorf("core serves %+v; of %d sessions it holds %d, and the database %d", got, live, len(w.core.Sessions()), len(w.sessions()))
	}
	if err := w.RemoveService(ctx, access.Command(), wiki.ID); err != nil {
		t.Fatal(err)
	}
	if _, ok := w.serves("wiki"); ok || len(w.core.Sessions()) != live-3 {
		t.Errorf("after the service was removed core serves %+v and holds %v", w.core.Services(), w.core.Sessions())
	}
	w.restart()
	w.live()
	if _, ok := w.serves("mail"); !ok {
		t.Error("after a restart core serves nothing")
	}

	// What is wrong is told as long as it is; without a proxy nothing that it served is open.
	bad := proxy
	bad.OK, bad.Error, bad.Root, bad.Expires = false, "no certificate yet", "PEM", time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	w.core.SetProxy(bad)
	w.until("its health is told", func() bool {
		h := w.siteNow().Health
		return h.Proxy == bad.Error && h.Root == "PEM" && h.Expires.Equal(bad.Expires)
	})
	w.core.SetProxy(link.Proxy{Driver: ownline.NoProxy})
	w.until("the proxy is gone", func() bool { return !w.siteNow().Proxy.Serves() && w.siteNow().Health.Proxy == "" })
	w.converge()
	for _, s := range w.sessions() {
		if s.ServiceKind == ownline.Proxy {
			t.Errorf("%+v is open", s)
		}
	}
	n.Name = "new"
	if _, err := w.AddService(ctx, access.Command(), n); err == nil {
		t.Error("a proxied service was made where there is no proxy")
	}
	if _, err := w.Open(ctx, w.ana, access.OpenAsk{Service: mail.ID}); err == nil {
		t.Error("a proxied service was opened where there is no proxy")
	}
}

// Web is a service of its own at every site with a proxy, for everybody: as soon as core tells
// of the proxy, and from the start of a process that is published.
func TestPublished(t *testing.T) {
	w := proxied(t)
	ctx := t.Context()
	w.halt()
	w.publish = netip.MustParseAddrPort("192.168.7.5:8080")
	w.start()
	if err := w.KeepOwn(ctx); err != nil {
		t.Fatal(err)
	}
	w.live()
	w.until("core serves it", func() bool { s, ok := w.serves(ownline.OwnService); return ok && s.Target4 == w.publish })
	a := w.knock(w.knocked(home))
	if a == nil || a.Status != knock.Opened || len(a.Sessions) != 2 {
		t.Fatalf("a knock opened %+v", a)
	}
	k := w.knocked(cafe)
	k.Service = w.http.ID
	if a := w.knock(k); a == nil || a.Status != knock.Opened || len(a.Sessions) != 2 || a.Sessions[0].ServiceID != w.http.ID {
		t.Errorf("a knock for one service opened %+v", a)
	}
	k = w.knocked(home6)
	k.Service = w.http.ID // has no IPv6 target
	if a := w.knock(k); a == nil || a.Status != knock.Refused || len(a.Sessions) != 0 {
		t.Errorf("a knock for what can't be opened: %+v", a)
	}

	// A core that moves keeps it; one that is paired anew gets it at once.
	w.halt()
	w.publish = netip.MustParseAddrPort("[fd00:7::5]:8080")
	w.start()
	if err := w.KeepOwn(ctx); err != nil {
		t.Fatal(err)
	}
	w.until("core is told of the other address", func() bool {
		s, _ := w.serves(ownline.OwnService)
		return s.Target6 == w.publish && !s.Target4.IsValid()
	})
	w.core.SetProxy(link.Proxy{Driver: ownline.NoProxy})
	w.until("the proxy is gone", func() bool { return !w.siteNow().Proxy.Serves() })
	if a := w.knock(w.knocked(home)); a == nil || len(a.Sessions) != 1 {
		t.Errorf("without a proxy a knock opened %+v", a)
	}
}
