package storetest

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/store"
)

func testProxied(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	f := Fill(t, s)
	service := func(id ownline.ServiceID) ownline.Service {
		return read(t, s, func(tx *store.Tx) (ownline.Service, error) { return tx.Service(id) })
	}
	wiki := ownline.Service{
		ID: ownline.NewID[ownline.Service](), Site: f.Site.ID, Name: "wiki", Kind: ownline.Proxy, Transport: ownline.TCP,
		Target6: netip.MustParseAddrPort("[fd00:7::10]:443"), Created: T0, SiteProxy: f.Site.Proxy,
		Proxy: ownline.ProxyOptions{
			Scheme: "https", PathPrefix: "/wiki", Headers: map[string]string{"X-A": `"1"; 'b'`, "X-B": "\u00e4"}, Pin: "00", ServerName: "wiki.lan", RequireLogin: true, Template: "{{ }}",
		},
	}
	must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.AddService(wiki) }))
	equal(t, "a proxied service", service(wiki.ID), wiki)
	wiki.Proxy, wiki.Everybody = ownline.ProxyOptions{CA: "line\nline"}, true
	must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.SaveService(wiki) }))
	equal(t, "one that was changed", service(wiki.ID), wiki)
	equal(t, "those of the site", read(t, s, func(tx *store.Tx) ([]ownline.Service, error) { return tx.ProxiedServices(f.Site.ID) }), []ownline.Service{wiki})

	// The LAN comes to forwards at the ports that are fixed, and not to what is proxied.
	fixed := func() []link.Inside {
		return read(t, s, func(tx *store.Tx) ([]link.Inside, error) { return tx.FixedPorts(f.Site.ID) })
	}
	ssh := link.Inside{Transport: f.Service.Transport, PublicPort: f.Grant.PublicPort, Target4: f.Service.Target4, Target6: f.Service.Target6}
	equal(t, "the fixed ports", fixed(), []link.Inside{ssh})

	// What is for everybody is there without a grant, and once with one.
	bob := ownline.User{ID: ownline.NewID[ownline.User](), Name: "bob", Role: ownline.Person, Created: T0}
	must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.AddUser(bob, "hash") }))
	offers := func(u ownline.UserID) []string {
		return read(t, s, func(tx *store.Tx) (out []string, err error) {
			list, err := tx.Offers(u, f.Site.ID)
			for _, o := range list {
				out = append(out, offer(o.Service, o.Grant))
			}
			return out, err
		})
	}
	list := func(u ownline.UserID) []ownline.Service {
		return read(t, s, func(tx *store.Tx) ([]ownline.Service, error) {
			ss, _, err := tx.Services(ownline.Page{}, f.Site.ID, u)
			return ss, err
		})
	}
	sites := func(u ownline.UserID) []ownline.Site {
		return read(t, s, func(tx *store.Tx) ([]ownline.Site, error) { return tx.SitesOf(u) })
	}
	equal(t, "bob's offers", offers(bob.ID), []string{offer(wiki, ownline.Grant{})})
	equal(t, "bob's services", list(bob.ID), []ownline.Service{wiki})
	equal(t, "bob's sites", sites(bob.ID), []ownline.Site{f.Site})
	equal(t, "ana's offers", offers(f.User.ID), []string{offer(f.Service, f.Grant), offer(wiki, ownline.Grant{})})
	g := ownline.Grant{ID: ownline.NewID[ownline.Grant](), User: bob.ID, Service: wiki.ID, Automatic: true, Created: T0}
	must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.AddGrant(g) }))
	equal(t, "bob's offers with a grant", offers(bob.ID), []string{offer(wiki, g)})
	wiki.Everybody = false
	must(t, s.Write(t.Context(), func(tx *store.Tx) error { return errors.Join(tx.SaveService(wiki), tx.RemoveGrant(g.ID)) }))
	if len(offers(bob.ID))+len(list(bob.ID))+len(sites(bob.ID)) > 0 {
		t.Error("without a grant, bob has something still")
	}

	// A session without a target, and where it is. A site says anew where its proxy is.
	e := f.NewSession()
	e.Service, e.Target, e.PublicPort = wiki.ID, netip.AddrPort{}, 9999
	must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.AddSession(e) }))
	got := read(t, s, func(tx *store.Tx) (ownline.SessionInfo, error) { return tx.Session(e.ID) })
	equal(t, "a session", got.Session, e)
	if got.URL() != "https://wiki.home.example.org:9999/" {
		t.Errorf("it is at %q", got.URL())
	}
	f.Site.Proxy = ownline.SiteProxy{Driver: "nginx", Domain: "example.net", Port: 443}
	invited := ownline.Invitation{ID: ownline.NewID[ownline.Invitation](), User: f.User.ID, Service: wiki.ID, For: time.Minute, Uses: 1, Created: T0, Expires: T0.Add(time.Hour)}
	must(t, s.Write(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.SaveSite(f.Site), tx.AddInvitation(invited, []byte("h"), nil))
	}))
	equal(t, "the site", read(t, s, func(tx *store.Tx) (ownline.Site, error) { return tx.Site(f.Site.ID) }), f.Site)
	i := read(t, s, func(tx *store.Tx) (ownline.InvitationInfo, error) { return tx.Invitation(invited.ID) })
	_, _, site := knocker(t, s, f.Device.ID)
	equal(t, "the site of a device that knocks", site, f.Site)
	for _, url := range []string{service(wiki.ID).URL(), i.URL()} {
		if url != "https://wiki.example.net/" {
			t.Errorf("it is at %q", url)
		}
	}
}

func offer(s ownline.Service, g ownline.Grant) string { return fmt.Sprintf("%+v %+v", s, g) }

func knocker(t *testing.T, s *store.Store, id ownline.DeviceID) (d ownline.Device, u ownline.User, site ownline.Site) {
	t.Helper()
	must(t, s.Read(t.Context(), func(tx *store.Tx) (err error) {
		d, u, site, err = tx.Knocker(id)
		return err
	}))
	return d, u, site
}
