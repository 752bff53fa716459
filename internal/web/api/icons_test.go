package api

import (
	"slices"
	"strings"
	"testing"
)

// An uploaded picture is made harmless, served apart from our pages' rights, and only to
// those who may know of its service.
func TestIcons(t *testing.T) {
	w := newWorld(t)
	ssh := w.addService("ssh", "192.168.7.10:22")
	w.addGrant(w.ana, ssh, nil)
	path := "/services/" + ssh.ID + "/icon"
	w.do(w.ana, "GET", path, nil).problem(404, "path.id")
	upload := func(token, body string) answer {
		return w.do(token, "PUT", path, body, "Content-Type", "image/svg+xml")
	}
	upload(w.ana, sampleSVG).problem(403, "")
	upload(w.admin, "GIF89a").problem(422, "body.icon")
	upload(w.admin, strings.Repeat("x", 300<<10)).problem(413, "")
	changed := as[service](upload(w.admin, `<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script><path d="M0 0h1"/></svg>`), 200)
	if !strings.HasPrefix(changed.Icon, "uploaded:") {
		t.Errorf("icon %q", changed.Icon)
	}
	got := w.do(w.ana, "GET", path, nil).want(200)
	if string(got.body) != `<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h1"></path></svg>` {
		t.Errorf("got %s", got.body)
	}
	w.do(w.ana, "GET", path+"?v=0123abcd", nil).want(200) // as the app asks
	for header, want := range map[string]string{
		"Content-Type": "image/svg+xml", "X-Content-Type-Options": "nosniff",
		"Content-Security-Policy": iconPolicy, "Etag": `"` + changed.Icon + `"`,
	} {
		if got.header.Get(header) != want {
			t.Errorf("%s is %q", header, got.header.Get(header))
		}
	}
	if again := w.do(w.ana, "GET", path, nil, "If-None-Match", got.header.Get("Etag")).want(304); len(again.body) > 0 {
		t.Errorf("304 with %s", again.body)
	}
	w.do(w.bob, "GET", path, nil).problem(404, "path.id")
	w.do(w.admin, "PATCH", "/services/"+ssh.ID, m{"icon": "uploaded:1234"}).problem(422, "body.icon")
	w.do(w.admin, "PATCH", "/services/"+ssh.ID, m{"icon": "terminal"}).want(200)
	w.do(w.ana, "GET", path, nil).problem(404, "path.id")

	names := as[struct{ Names []string }](w.do(w.ana, "GET", "/icons", nil), 200).Names
	if len(names) < 50 || !slices.Contains(names, "terminal") || !slices.IsSorted(names) {
		t.Errorf("built-in icons %q", names)
	}
	w.do(w.admin, "PATCH", "/services/"+ssh.ID, m{"icon": "no-such-icon"}).problem(422, "body.icon")
	w.do(w.admin, "POST", "/services", m{"site": w.site.ID, "name": "x", "target": "192.168.7.10:22", "icon": "no-such-icon"}).problem(422, "body.icon")
	if got := as[service](w.do(w.admin, "GET", "/services/"+ssh.ID, nil), 200).Icon; got != "terminal" {
		t.Errorf("the icon became %q", got)
	}
}
