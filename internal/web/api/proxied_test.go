package api

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

func (w *world) addProxied(name string, more m) service {
	w.t.Helper()
	body := m{"site": w.site.ID, "name": name, "kind": "proxy", "target": "192.168.7.12:443"}
	for k, v := range more {
		body[k] = v
	}
	return as[service](w.do(w.admin, "POST", "/services", body), 201)
}

// A proxied service: its options as they were told, its URL wherever it is shown, sessions of
// both families through the proxy's port.
func TestProxied(t *testing.T) {
	w := newWorld(t)
	const url = "https://wiki.home.example.org:9999/"
	opts := m{"scheme": "https", "path_prefix": "/wiki", "headers": m{"X-One": "1"}, "server_name": "wiki.lan", "pin": strings.Repeat("ab", 32)}
	s := w.addProxied("wiki", m{"options": opts})
	w.addGrant(w.ana, s, m{"automatic": true})
	for _, token := range []string{w.admin, w.ana} {
		got := as[service](w.do(token, "GET", "/services/"+s.ID, nil), 200)
		if got.URL != url || got.Kind != "proxy" || got.Options == nil || got.Options.PathPrefix != "/wiki" || got.Options.Headers["X-One"] != "1" || got.Everybody {
			t.Errorf("it is %+v, %+v", got, got.Options)
		}
	}
	for _, source := range []string{"198.51.100.7", "2001:db8:7:1::5"} {
		e := as[session](w.do(w.ana, "POST", "/sessions", m{"service": s.ID}, "X-Forwarded-For", source), 201)
		if e.URL != url || e.PublicPort != 9999 || e.Target != "" || e.Transport != "tcp" {
			t.Errorf("from %s: %+v", source, e)
		}
	}
	if i, _ := w.invite(w.ana, s, nil); i.URL != url {
		t.Errorf("the invitation is %+v", i)
	}

	// A change replaces the options, and ends nothing.
	got := as[service](w.do(w.admin, "PATCH", "/services/"+s.ID, m{"name": "pages", "target": "192.168.7.13:80", "options": m{"scheme": "h2c"}}), 200)
	if got.URL != "https://pages.home.example.org:9999/" || got.Options.Scheme != "h2c" || got.Options.PathPrefix != "" {
		t.Errorf("it became %+v, %+v", got, got.Options)
	}
	if n := w.count(w.ana, "/sessions?state=live"); n != 2 {
		t.Errorf("%d sessions live on", n)
	}
	if got := as[service](w.do(w.admin, "PATCH", "/services/"+s.ID, m{"icon": "terminal"}), 200); got.Options.Scheme != "h2c" {
		t.Errorf("another icon made the options %+v", got.Options)
	}

	site := as[site](w.do(w.ana, "GET", "/sites/"+w.site.ID, nil), 200)
	if p := site.Proxy; p == nil || p.Domain != "home.example.org" || p.Port != 9999 || !p.Serves || !p.Root || p.Error != "" || p.Expires != nil {
		t.Errorf("ana sees the proxy as %+v", p)
	}
	if p := w.siteAsAdmin().Proxy; p == nil || p.Error != "no certificate yet" || p.Expires == nil || !p.Expires.Equal(certificateEnd) {
		t.Errorf("an admin sees the proxy as %+v", p)
	}
	root := w.do(w.ana, "GET", "/sites/"+w.site.ID+"/root", nil).want(200)
	if string(root.body) != rootPEM || root.header.Get("Content-Type") != pemType || !strings.Contains(root.header.Get("Content-Disposition"), "ownline-home-root.pem") {
		t.Errorf("the root is %s, %v", root.body, root.header)
	}
}

func (w *world) siteAsAdmin() site {
	w.t.Helper()
	return as[site](w.do(w.admin, "GET", "/sites/"+w.site.ID, nil), 200)
}

// Invariant 10: what the proxy could not follow is refused, by the name of its field, and
// changes nothing.
func TestProxiedRefused(t *testing.T) {
	w := newWorld(t)
	s := w.addProxied("wiki", nil)
	forward := w.addService("ssh", "192.168.7.10:22")
	const post, patch = "POST", "PATCH"
	for _, tc := range []struct {
		method, field string
		body          m
	}{
		{post, "body.name", m{"name": "a;}"}},
		{post, "body.name", m{"name": "../x"}},
		{post, "body.name", m{"name": `"x"`}},
		{post, "body.name", m{"name": "a\nb"}},
		{post, "body.name", m{"name": strings.Repeat("a", 300)}},
		{post, "body.name", m{"name": "ownline"}},
		{patch, "body.name", m{"name": "ownline"}},
		{post, "body.name", m{"name": "mqtt"}},
		{patch, "body.name", m{"name": "mqtt"}},
		{post, "body.transport", m{"transport": "udp"}},
		{post, "body.target", m{"target": "10.0.0.1:80"}},
		{post, "body.options.scheme", m{"options": m{"pin": strings.Repeat("ab", 32)}}},
		{post, "body.options.path_prefix", m{"options": m{"path_prefix": "/a;b"}}},
		{patch, "body.options.headers", m{"options": m{"headers": m{"Host": "x"}}}},
		{patch, "body.options.ca", m{"options": m{"scheme": "https", "ca": "x"}}},
		{patch, "body.options.server_name", m{"options": m{"scheme": "https", "server_name": "a b"}}},
		{post, "body.options.template", m{"options": m{"template": "{{.Guard}}"}}}, // the proxy is not nginx
		{post, "body.options", m{"kind": "forward", "options": m{"scheme": "http"}}},
		{patch, "body.kind", m{"kind": "forward"}},
	} {
		path, body := "/services", m{"site": w.site.ID, "name": "new", "kind": "proxy", "target": "192.168.7.12:80"}
		if tc.method == patch {
			path, body = path+"/"+s.ID, m{}
		}
		for k, v := range tc.body {
			body[k] = v
		}
		w.do(w.admin, tc.method, path, body).problem(422, tc.field)
	}
	w.do(w.admin, patch, "/services/"+forward.ID, m{"options": m{"scheme": "h2c"}}).problem(422, "body.options")
	w.do(w.admin, post, "/grants", m{"user": w.id(w.ana), "service": s.ID, "public_port": 20000}).problem(422, "body.public_port")
	if n := w.count(w.admin, "/services"); n != 2 {
		t.Errorf("there are %d services", n)
	}
	if got := as[service](w.do(w.admin, "GET", "/services/"+s.ID, nil), 200); got.Name != "wiki" || got.Options.Scheme != "" {
		t.Errorf("it became %+v", got)
	}
}

// Templates are judged by web, and previewed by the router; neither changes anything.
func TestTemplate(t *testing.T) {
	w := newWorld(t)
	wiki := w.addProxied("wiki", nil)
	ssh := w.addService("ssh", "192.168.7.10:22")
	id, err := ownline.ParseID[ownline.Site](w.site.ID)
	if err != nil {
		t.Fatal(err)
	}
	err = w.access.Told(t.Context(), id, link.Status{
		KnockPort: 54754, LocalNetworks: []netip.Prefix{netip.MustParsePrefix("192.168.7.0/24")},
		Proxy: link.Proxy{Driver: "nginx", Domain: "home.example.org", Port: 9999},
	})
	if err != nil {
		t.Fatal(err)
	}
	path := "/services/" + wiki.ID
	preview := func(options m) answer {
		body := m{}
		if options != nil {
			body["options"] = options
		}
		return w.do(w.admin, "POST", path+"/preview", body)
	}
	if got := as[m](preview(nil), 200); got["text"] != "server wiki\n" {
		t.Errorf("%v", got)
	}
	good := m{"path_prefix": "/x", "template": "server { # {{.Prefix}}\n{{.Guard}}\n}\n"}
	if got := as[m](preview(good), 200); got["text"] != "server wiki\nserver { # /x\n{ownline:guard}\n}\n" {
		t.Errorf("%v", got)
	}
	bad := m{"template": "{{.Guard}}\n{{.Nosuch}}"}
	for _, a := range []answer{preview(bad), w.do(w.admin, "PATCH", path, m{"options": bad})} {
		a.problem(422, "body.options.template")
		if !strings.Contains(string(a.body), "line 2: ") {
			t.Errorf("%s", a.body)
		}
	}
	w.do(w.admin, "PATCH", path, m{"options": m{"headers": m{"X-A": "a$host"}}}).problem(422, "body.options.headers") // nginx fills it in
	if got := as[service](w.do(w.admin, "GET", path, nil), 200); got.Options.Template != "" {
		t.Errorf("it has %q", got.Options.Template)
	}
	w.do(w.admin, "PATCH", path, m{"options": good}).want(200)
	if got := as[service](w.do(w.admin, "GET", path, nil), 200); got.Options.Template != good["template"] {
		t.Errorf("it has %q", got.Options.Template)
	}
	state, _, err := w.access.Desired(t.Context(), id)
	if err != nil || len(state.Services) != 1 || state.Services[0].Options.Template != "server { # /x\n{ownline:guard}\n}\n" {
		t.Errorf("%v: the router is told %+v", err, state.Services)
	}
	w.do(w.admin, "POST", "/services/"+ssh.ID+"/preview", m{}).problem(409, "path.id")
	w.cores.setDown(true)
	preview(nil).problem(503, "")
}

var certificateEnd = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
