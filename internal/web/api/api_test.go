package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ownline/ownline/internal/ownline"
)

func TestOpenRenewClose(t *testing.T) {
	w := newWorld(t)
	ssh := w.addService("ssh", "192.168.7.10:22")
	w.addGrant(w.ana, ssh, nil)

	w.do(w.admin, "PATCH", "/services/"+ssh.ID, map[string]any{"icon": "terminal"}).want(200)
	first := as[session](w.do(w.ana, "POST", "/sessions", map[string]any{"service": ssh.ID, "for": "45m"}, "Idempotency-Key", "k1"), 201)
	if first.State != "active" || first.Source != "198.51.100.7/32" || !strings.HasPrefix(first.Address, "home.example.org:200") || first.Target != "192.168.7.10:22" {
		t.Errorf("got %+v", first)
	}
	if first.Icon != "terminal" {
		t.Errorf("the service's icon is %q", first.Icon)
	}
	if w.openSessions() != 1 {
		t.Fatal("core was told nothing")
	}
	again := as[session](w.do(w.ana, "POST", "/sessions", map[string]any{"service": ssh.ID, "for": "45m"}, "Idempotency-Key", "k1"), 201)
	if again.ID != first.ID || w.openSessions() != 1 {
		t.Error("the same key made another session")
	}
	renewed := as[session](w.do(w.ana, "POST", "/sessions/"+first.ID+"/renew", map[string]any{"for": "1h"}), 200)
	if !renewed.Expires.After(first.Expires) {
		t.Errorf("renewed until %s, was %s", renewed.Expires, first.Expires)
	}
	as[session](w.do(w.ana, "POST", "/sessions/"+first.ID+"/renew", nil), 200)
	closed := as[session](w.do(w.ana, "DELETE", "/sessions/"+first.ID, nil), 200)
	if closed.State != "ended" || closed.Reason != "closed" || closed.EndedByName != "ana" || closed.Ended == nil || w.openSessions() != 0 {
		t.Errorf("got %+v", closed)
	}
	if n := w.count(w.ana, "/sessions?state=live"); n != 0 {
		t.Errorf("%d live sessions", n)
	}
	if n := w.count(w.ana, "/sessions?state=ended&service="+ssh.ID); n != 1 {
		t.Errorf("%d ended sessions", n)
	}
	as[session](w.do(w.ana, "POST", "/sessions", map[string]any{"service": ssh.ID}), 201)
	if got := as[struct{ Ended int }](w.do(w.ana, "DELETE", "/sessions", nil), 200); got.Ended != 1 {
		t.Errorf("flush: %+v", got)
	}
}

// Invariant 6: what core did not apply is not reported as open.
func TestCoreDown(t *testing.T) {
	w := newWorld(t)
	ssh := w.addService("ssh", "192.168.7.10:22")
	w.addGrant(w.ana, ssh, nil)
	w.cores.setDown(true)
	w.do(w.ana, "POST", "/sessions", map[string]any{"service": ssh.ID}).problem(503, "")
	if n := w.count(w.ana, "/sessions?state=live"); n != 0 {
		t.Errorf("%d live sessions", n)
	}
	w.do(w.admin, "POST", "/sites/"+w.site.ID+"/ping", nil).problem(503, "")
	w.cores.setDown(false)
	if got := as[struct {
		RoundTripMS float64 `json:"round_trip_ms"`
	}](w.do(w.admin, "POST", "/sites/"+w.site.ID+"/ping", nil), 200); got.RoundTripMS != 1.5 {
		t.Errorf("got %+v", got)
	}
}

// Invariant 7: a user reaches only what is theirs, and never what is an admin's.
func TestWhose(t *testing.T) {
	w := newWorld(t)
	ssh := w.addService("ssh", "192.168.7.10:22")
	grantOfAna := w.addGrant(w.ana, ssh, map[string]any{"automatic": true})
	dev := as[Device](w.do(w.ana, "POST", "/devices", map[string]any{"site": w.site.ID, "name": "phone"}), 201)
	ses := as[session](w.do(w.ana, "POST", "/sessions", map[string]any{"service": ssh.ID}), 201)
	anaID := w.id(w.ana)

	for _, path := range []string{"/services", "/grants", "/devices", "/sessions", "/sites"} {
		if n := w.count(w.ana, path); n != 1 {
			t.Errorf("ana sees %d of %s", n, path)
		}
		if n := w.count(w.bob, path); n != 0 {
			t.Errorf("bob sees %d of %s", n, path)
		}
	}
	for filter, want := range map[string]int{
		"automatic=true": 1, "automatic=false": 0, "site=" + w.site.ID: 1, "site=" + w.site.ID + "&automatic=false": 0,
		"site=" + ownline.NewID[ownline.Site]().String(): 0,
	} {
		if n := w.count(w.ana, "/grants?"+filter); n != want {
			t.Errorf("ana sees %d grants of %s, want %d", n, filter, want)
		}
	}
	for _, tc := range []struct {
		method, path string
		body         any
		status       int
	}{
		{"GET", "/sessions/" + ses.ID, nil, 404},
		{"DELETE", "/sessions/" + ses.ID, nil, 404},
		{"POST", "/sessions/" + ses.ID + "/renew", nil, 404},
		{"GET", "/services/" + ssh.ID, nil, 404},
		{"GET", "/grants/" + grantOfAna.ID, nil, 404},
		{"GET", "/devices/" + dev.ID, nil, 404},
		{"POST", "/devices/" + dev.ID + "/revoke", nil, 404},
		{"POST", "/devices/" + dev.ID + "/rotate", nil, 404},
		{"DELETE", "/devices/" + dev.ID, nil, 404},
		{"GET", "/users/" + anaID, nil, 404},
		{"GET", "/sites/" + w.site.ID, nil, 404},
		{"POST", "/sites/" + w.site.ID + "/ping", nil, 404},
		{"GET", "/users", nil, 403},
		{"POST", "/users", map[string]any{"name": "eve", "password": userPassword, "role": "admin"}, 403},
		{"PATCH", "/users/" + w.id(w.bob), map[string]any{"role": "admin"}, 403},
		{"POST", "/services", map[string]any{"site": w.site.ID, "name": "x", "target": "192.168.7.11:80"}, 403},
		{"PATCH", "/services/" + ssh.ID, map[string]any{"target": "192.168.7.11:80"}, 403},
		{"DELETE", "/services/" + ssh.ID, nil, 403},
		{"POST", "/grants", map[string]any{"user": w.id(w.bob), "service": ssh.ID}, 403},
		{"PATCH", "/grants/" + grantOfAna.ID, map[string]any{"automatic": false}, 403},
		{"DELETE", "/grants/" + grantOfAna.ID, nil, 403},
		{"POST", "/sites", map[string]any{"code": "x", "name": "x", "host": "x.org"}, 403},
		{"PATCH", "/sites/" + w.site.ID, map[string]any{"host": "evil.example"}, 403},
		{"DELETE", "/sites/" + w.site.ID, nil, 403},
		{"POST", "/sites/" + w.site.ID + "/apply", nil, 403},
		{"GET", "/sessions?all=true", nil, 403},
		{"DELETE", "/sessions?all=true", nil, 403},
	} {
		got := w.do(w.bob, tc.method, tc.path, tc.body)
		if got.status != tc.status {
			t.Errorf("bob: %s %s: %d %s", tc.method, tc.path, got.status, got.body)
		}
		if strings.Contains(string(got.body), "192.168.7.10") {
			t.Errorf("bob: %s %s tells the target: %s", tc.method, tc.path, got.body)
		}
		w.do("", tc.method, tc.path, tc.body).problem(401, "")
	}
	// Opening somebody else's service, or for somebody else's address.
	w.do(w.bob, "POST", "/sessions", map[string]any{"service": ssh.ID}).problem(422, "body.service")
	if got := w.do(w.ana, "POST", "/sessions", map[string]any{"service": ssh.ID, "source": "203.0.113.9"}); got.status != 403 {
		t.Errorf("another source: %d %s", got.status, got.body)
	}
	// The other's site shows nothing of the admin's business.
	raw := w.do(w.ana, "GET", "/sites", nil).want(200)
	for _, secret := range []string{"pin", "link", "revision", "local_networks", "core_version", "firewall_lacks", "192.0.2.1"} {
		if strings.Contains(string(raw.body), secret) {
			t.Errorf("ana is told %s: %s", secret, raw.body)
		}
	}
	// But whether its core answers, how fast, and when it last did.
	if pong := as[struct {
		RoundTripMS float64 `json:"round_trip_ms"`
	}](w.do(w.ana, "POST", "/sites/"+w.site.ID+"/ping", nil), 200); pong.RoundTripMS != 1.5 || !strings.Contains(string(raw.body), `"last_contact":"`) {
		t.Errorf("ana is told of her site: a round trip of %v, and %s", pong.RoundTripMS, raw.body)
	}
	if as[session](w.do(w.ana, "GET", "/sessions/"+ses.ID, nil), 200).State != "active" || w.openSessions() != 1 {
		t.Error("bob changed something")
	}
	// A disabled user is signed out and let out at once.
	w.do(w.admin, "PATCH", "/users/"+anaID, map[string]any{"disabled": true}).want(200)
	w.do(w.ana, "GET", "/me", nil).problem(401, "")
	if n := w.count(w.admin, "/sessions?state=live&all=true"); n != 0 {
		t.Error("the session outlives its user")
	}
}

// Invariant 8: headers say where a request came from only when a trusted proxy wrote them.
func TestWho(t *testing.T) {
	w := newWorld(t)
	for forwarded, want := range map[string]whoami{
		"198.51.100.7":                {"198.51.100.7", 4, "public", false, "198.51.100.7/32"},
		"203.0.113.9, 198.51.100.7":   {"198.51.100.7", 4, "public", false, "198.51.100.7/32"},
		"2001:db8:1:2:3::4":           {"2001:db8:1:2:3::4", 6, "public", false, "2001:db8:1:2::/64"},
		"203.0.113.9, 192.168.7.20":   {"192.168.7.20", 4, "private", false, ""},
		"203.0.113.9, 100.64.0.1":     {"100.64.0.1", 4, "carrier_nat", false, ""},
		"198.51.100.7, not an adress": {"127.0.0.1", 4, "private", false, ""},
	} {
		got := as[whoami](w.raw("GET", "/whoami", nil, "Authorization", "Bearer "+w.ana, "X-Forwarded-For", forwarded, "X-Real-IP", "203.0.113.9", "Forwarded", "for=203.0.113.9"), 200)
		if got != want {
			t.Errorf("%s: got %+v, want %+v", forwarded, got, want)
		}
	}
}

// Invariant 7: a state change by cookie comes from exactly our own origin.
func TestOrigin(t *testing.T) {
	w := newWorld(t)
	creds := map[string]any{"name": "ana", "password": userPassword}
	in := w.do("", "POST", "/auth/login", creds, "Sec-Fetch-Site", "same-origin").want(200)
	set := in.header.Get("Set-Cookie")
	for _, attribute := range []string{"__Host-ownline=", "Path=/", "HttpOnly", "Secure", "SameSite=Strict"} {
		if !strings.Contains(set, attribute) {
			t.Errorf("cookie without %s: %s", attribute, set)
		}
	}
	if strings.Contains(set, "Domain") {
		t.Errorf("cookie for a domain: %s", set)
	}
	cookie, _, _ := strings.Cut(set, ";")
	own := "https://own.example.org:9999" // public_url; no other name of this server counts
	for name, tc := range map[string]struct {
		headers []string
		status  int
	}{
		"our page":                     {[]string{"Sec-Fetch-Site", "same-origin", "Origin", own}, 201},
		"our page, old browser":        {[]string{"Origin", own}, 201},
		"another name of this machine": {[]string{"Sec-Fetch-Site", "same-origin", "Origin", w.server.URL}, 403},
		"a sub-domain":                 {[]string{"Sec-Fetch-Site", "same-site", "Origin", "https://evil.own.example.org:9999"}, 403},
		"the domain above":             {[]string{"Origin", "https://example.org:9999"}, 403},
		"our name, another port":       {[]string{"Sec-Fetch-Site", "same-site", "Origin", "https://own.example.org"}, 403},
		"a sub-domain, old browser":    {[]string{"Origin", "https://evil.own.example.org:9999"}, 403},
		"another site":                 {[]string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403},
		"a page without an origin":     {[]string{"Origin", "null"}, 403},
		"nothing that a browser sends": {nil, 403},
	} {
		before := w.count(w.ana, "/tokens")
		got := w.raw("POST", "/tokens", map[string]any{"name": name, "scopes": []string{"read"}}, append([]string{"Cookie", cookie}, tc.headers...)...)
		if got.status != tc.status {
			t.Errorf("%s: got %d %s", name, got.status, got.body)
		}
		if made := w.count(w.ana, "/tokens") - before; (made == 1) != (tc.status == 201) {
			t.Errorf("%s: %d tokens made", name, made)
		}
	}
	// Signing in is a state change, too.
	w.do("", "POST", "/auth/login", creds, "Sec-Fetch-Site", "cross-site").problem(403, "")
	// Reading is not.
	w.raw("GET", "/me", nil, "Cookie", cookie).want(200)
	w.raw("POST", "/auth/logout", nil, "Cookie", cookie, "Origin", own).want(204)
	w.raw("GET", "/me", nil, "Cookie", cookie).problem(401, "")
	for _, header := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"} {
		if in.header.Get(header) != "" {
			t.Errorf("%s is sent", header)
		}
	}
}

// Invariant 9: a secret is shown once, and never again, and in no error.
func TestSecrets(t *testing.T) {
	w := newWorld(t)
	w.addGrant(w.ana, w.addService("ssh", "192.168.7.10:22"), nil)
	made := as[struct{ ID, Profile string }](w.do(w.ana, "POST", "/devices", map[string]any{"site": w.site.ID, "name": "phone"}), 201)
	p, err := ownline.ParseProfile(made.Profile)
	if err != nil || p.Device.String() != made.ID || p.Host != "home.example.org" || p.Port != 54754 {
		t.Fatalf("profile %+v, %v", p, err)
	}
	rotated := as[struct{ ID, Profile string }](w.do(w.ana, "POST", "/devices/"+made.ID+"/rotate", nil), 200)
	if rotated.Profile == made.Profile {
		t.Error("rotating kept the secret")
	}
	tok := as[struct{ ID, Token string }](w.do(w.ana, "POST", "/tokens", map[string]any{"name": "laptop", "scopes": []string{"full"}}), 201)
	if !strings.HasPrefix(tok.Token, "own_") {
		t.Errorf("token %q", tok.Token)
	}
	w.do(tok.Token, "GET", "/me", nil).want(200)
	key := func(profile string) string {
		_, k, _ := strings.Cut(profile, "key=")
		k, _, _ = strings.Cut(k, "&")
		return k
	}
	secrets := []string{key(made.Profile), key(rotated.Profile), tok.Token, w.ana, w.admin, userPassword, adminPassword, "argon2"}
	for _, path := range []string{"/devices", "/devices/" + made.ID, "/tokens", "/users", "/sites", "/me", "/sessions?all=true"} {
		for _, who := range []string{w.ana, w.admin} {
			body := string(w.do(who, "GET", path, nil).body)
			for _, s := range secrets {
				if strings.Contains(body, s) {
					t.Errorf("%s tells %q", path, s)
				}
			}
		}
	}
	// An error does not repeat what was sent.
	for _, body := range []any{
		map[string]any{"name": "ana", "password": map[string]any{"hunter2": "hunter2"}},
		map[string]any{"name": "ana", "password": strings.Repeat("hunter2", 200)},
		map[string]any{"name": "ana", "passwd": "hunter2"},
		`{"name": "ana", "password": "hunter2`,
	} {
		got := w.do("", "POST", "/auth/login", body)
		if got.status < 400 || got.status == 401 || strings.Contains(string(got.body), "hunter2") {
			t.Errorf("%v: %d %s", body, got.status, got.body)
		}
	}
	w.do(w.ana, "DELETE", "/tokens/"+tok.ID, nil).want(204)
	w.do(tok.Token, "GET", "/me", nil).problem(401, "")
	for _, s := range secrets {
		if strings.Contains(w.log.String(), s) {
			t.Errorf("the log tells %q", s)
		}
	}
}

// Invariant 10: bad input is refused whole, names the field, and changes nothing.
func TestBadInput(t *testing.T) {
	w := newWorld(t)
	ssh := w.addService("ssh", "192.168.7.10:22")
	four := as[service](w.do(w.admin, "POST", "/services", map[string]any{"site": w.site.ID, "name": "four", "target": "192.168.7.11:80", "transport": "udp"}), 201)
	g := w.addGrant(w.ana, ssh, map[string]any{"max_duration": "1h"})
	w.addGrant(w.ana, four, nil)
	many := slices.Repeat([]string{"2001:db8:1234::/48"}, 10_000)
	nobody := ownline.NewID[ownline.User]().String()
	before := w.snapshot()
	for _, tc := range []struct {
		who, method, path string
		body              any
		status            int
		location          string
	}{
		{w.admin, "POST", "/services", m{"site": w.site.ID, "name": "x", "target": "10.9.9.9:22"}, 422, "body.target"},
		{w.admin, "POST", "/services", m{"site": w.site.ID, "name": "x", "target": "[fd00:7::1]:22"}, 422, "body.target"},
		{w.admin, "POST", "/services", m{"site": w.site.ID, "name": "x", "target6": "192.168.7.1:22"}, 422, "body.target6"},
		{w.admin, "POST", "/services", m{"site": w.site.ID, "name": "x", "target": "192.168.7.10"}, 422, "body.target"},
		{w.admin, "POST", "/services", m{"site": w.site.ID, "name": "x", "target": "192.168.7.10:0"}, 422, "body.target"},
		{w.admin, "POST", "/services", m{"site": w.site.ID, "name": "x", "target": "192.168.7.10:70000"}, 422, "body.target"},
		{w.admin, "POST", "/services", m{"site": w.site.ID, "name": "x"}, 422, "body.target"},
		{w.admin, "POST", "/services", m{"site": w.site.ID, "name": "X Y", "target": "192.168.7.10:22"}, 422, "body.name"},
		{w.admin, "POST", "/services", m{"site": w.site.ID, "name": "x", "target": "192.168.7.10:22", "transport": "sctp"}, 422, "body.transport"},
		{w.admin, "POST", "/services", m{"site": nobody, "name": "x", "target": "192.168.7.10:22"}, 422, "body.site"},
		{w.admin, "POST", "/services", m{"site": "home", "name": "x", "target": "192.168.7.10:22"}, 422, "body.site"},
		{w.admin, "POST", "/services", m{"site": w.site.ID, "name": "ssh", "target": "192.168.7.10:22"}, 409, "body.name"},
		{w.admin, "POST", "/services", m{"site": w.site.ID, "name": "x", "target": "192.168.7.10:22", "colour": "red"}, 422, "body.colour"},
		{w.admin, "PATCH", "/services/" + ssh.ID, m{"target": ""}, 422, "body.target"},
		{w.admin, "PATCH", "/services/" + ssh.ID, m{"name": "ok", "target": "1.2.3.4:5"}, 422, "body.target"},
		{w.admin, "POST", "/grants", m{"user": nobody, "service": ssh.ID}, 422, "body.user"},
		{w.admin, "POST", "/grants", m{"user": w.id(w.bob), "service": nobody}, 422, "body.service"},
		{w.admin, "POST", "/grants", m{"user": w.id(w.bob), "service": ssh.ID, "public_port": 70000}, 422, "body.public_port"},
		{w.admin, "POST", "/grants", m{"user": w.id(w.bob), "service": ssh.ID, "max_duration": "soon"}, 422, "body.max_duration"},
		{w.admin, "POST", "/users", m{"name": "carl", "password": "short"}, 422, "body.password"},
		{w.admin, "POST", "/users", m{"name": "Carl!", "password": userPassword}, 422, "body.name"},
		{w.admin, "POST", "/users", m{"name": "ana", "password": userPassword}, 409, "body.name"},
		{w.admin, "POST", "/users", m{"name": "carl", "password": userPassword, "role": "god"}, 422, "body.role"},
		{w.admin, "PATCH", "/users/" + w.id(w.admin), m{"role": "user"}, 409, ""},
		{w.admin, "POST", "/sites", m{"code": "ownline-core://x", "name": "two", "host": "x.org"}, 422, "body.code"},
		{w.admin, "PATCH", "/sites/" + w.site.ID, m{"ipv6_prefix": 12}, 422, "body.ipv6_prefix"},
		{w.ana, "POST", "/sessions", m{"service": nobody}, 422, "body.service"},
		{w.ana, "POST", "/sessions", m{"service": ssh.ID, "for": "-5m"}, 422, "body.for"},
		{w.ana, "POST", "/sessions", m{"service": ssh.ID, "for": "a while"}, 422, "body.for"},
		{w.ana, "POST", "/sessions", m{"service": ssh.ID, "public_port": -1}, 422, "body.public_port"},
		{w.ana, "POST", "/sessions", m{}, 422, "body"},
		{w.admin, "POST", "/sessions", m{"service": ssh.ID, "source": "192.168.1.1"}, 422, "body.source"},
		{w.admin, "POST", "/sessions", m{"service": ssh.ID, "source": "here"}, 422, "body.source"},
		{w.admin, "POST", "/sessions", m{"service": ssh.ID, "source": "2001:db8::1"}, 422, "body.source"},
		{w.ana, "POST", "/devices", m{"site": w.site.ID, "name": ""}, 422, "body.name"},
		{w.ana, "POST", "/devices", m{"site": nobody, "name": "x"}, 422, "body.site"},
		{w.ana, "POST", "/tokens", m{"name": " ", "scopes": []string{"read"}}, 422, "body.name"},
		{w.ana, "POST", "/tokens", m{"name": "x", "scopes": []string{"read"}, "expires": "2001-01-01T00:00:00Z"}, 422, "body.expires"},
		{w.ana, "GET", "/sessions?limit=1000", nil, 422, "query.limit"},
		{w.ana, "GET", "/sessions?state=open", nil, 422, "query.state"},
		{w.ana, "GET", "/sessions?cursor=xyz", nil, 422, "query.cursor"},
		{w.ana, "GET", "/sessions?colour=red", nil, 422, "query.colour"},
		{w.ana, "GET", "/sessions/" + nobody, nil, 404, ""},
		{w.ana, "GET", "/sessions/seven", nil, 422, "path.id"},
		{w.ana, "GET", "/nothing", nil, 404, ""},
		{w.ana, "POST", "/sessions", `{"service": `, 400, ""},
		{w.admin, "PATCH", "/sites/" + w.site.ID, m{"allowed_from": many}, 422, "body.allowed_from"},
		{w.admin, "POST", "/grants", m{"user": w.id(w.bob), "service": ssh.ID, "allowed_from": many}, 422, "body.allowed_from"},
		{w.admin, "PATCH", "/grants/" + g.ID, m{"allowed_from": many}, 422, "body.allowed_from"},
		{w.admin, "PATCH", "/grants/" + g.ID, m{"allowed_from": []string{""}}, 422, "body.allowed_from"},
		{w.admin, "POST", "/devices", m{"site": w.site.ID, "name": "x", "allowed_from": many}, 422, "body.allowed_from"},
		{w.admin, "PATCH", "/sites/" + w.site.ID, strings.Repeat("x", listBody+1), 413, ""},
		{w.ana, "POST", "/sessions", strings.Repeat("x", maxBody+1), 413, ""},
	} {
		w.do(tc.who, tc.method, tc.path, tc.body).problem(tc.status, tc.location)
	}
	if after := w.snapshot(); after != before {
		t.Errorf("something changed:\n%s\n%s", before, after)
	}
}

// snapshot is all that lists show.
func (w *world) snapshot() string {
	var b strings.Builder
	for _, path := range []string{
		"/users?limit=200", "/services?limit=200", "/grants?limit=200", "/devices?limit=200", "/sessions?all=true&limit=200", "/invitations?all=true&limit=200", "/notifications",
	} {
		b.Write(w.do(w.admin, "GET", path, nil).want(http.StatusOK).body)
	}
	for _, path := range []string{"/tokens?all=true&limit=200", "/logins?all=true&limit=200", "/sites", "/audit"} { // which also tell when they were used
		for _, item := range as[list[struct{ ID, Host, Action string }]](w.do(w.admin, "GET", path, nil), 200).Items {
			fmt.Fprintf(&b, "%s %s %s\n", item.ID, item.Host, item.Action)
		}
	}
	return b.String()
}

func TestPaging(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		w.addService(name, "192.168.7.10:22")
	}
	var got []string
	path := "/services?limit=2"
	for pages := 1; ; pages++ {
		page := as[list[service]](w.do(w.admin, "GET", path, nil), 200)
		for _, s := range page.Items {
			got = append(got, s.Name)
		}
		if page.Next == "" {
			if pages != 3 {
				t.Errorf("%d pages", pages)
			}
			break
		}
		path = "/services?limit=2&cursor=" + page.Next
	}
	if strings.Join(got, "") != "abcde" {
		t.Errorf("got %v", got)
	}
}

func TestHeaders(t *testing.T) {
	w := newWorld(t)
	got := w.do(w.ana, "GET", "/me", nil).want(200)
	if got.header.Get("Cache-Control") != "no-store" || !strings.Contains(got.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("headers %v", got.header)
	}
	doc := w.raw("GET", "/openapi.json", nil).want(200)
	if !strings.Contains(string(doc.body), `"openapi": "3.1.0"`) {
		t.Errorf("document %.200s", doc.body)
	}
}

// Guessing is slowed down, and says for how long.
func TestThrottled(t *testing.T) {
	w := newWorld(t)
	creds := map[string]any{"name": "ana", "password": "wrong password"}
	var got answer
	for range 6 {
		got = w.do("", "POST", "/auth/login", creds, "X-Forwarded-For", "203.0.113.9")
	}
	got.problem(429, "")
	if got.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	// The owner, from where they signed in before, is not slowed by the stranger.
	w.do("", "POST", "/auth/login", map[string]any{"name": "ana", "password": userPassword}).want(200)
}

// One key, sent many times at once, opens one session.
func TestOneKeyAtOnce(t *testing.T) {
	w := newWorld(t)
	ssh := w.addService("ssh", "192.168.7.10:22")
	w.addGrant(w.ana, ssh, nil)
	for round := range 3 {
		const tries = 6
		var wg sync.WaitGroup
		answers := make([]answer, tries)
		for i := range answers {
			wg.Go(func() {
				answers[i] = w.do(w.ana, "POST", "/sessions", m{"service": ssh.ID}, "Idempotency-Key", fmt.Sprintf("k%d", round))
			})
		}
		wg.Wait()
		first := as[session](answers[0], 201)
		for _, got := range answers[1:] {
			if s := as[session](got, 201); s.ID != first.ID || s.PublicPort != first.PublicPort {
				t.Errorf("round %d: another session: %+v, %+v", round, s, first)
			}
		}
		if n := w.count(w.ana, "/sessions?state=live"); n != 1 || w.openSessions() != 1 {
			t.Errorf("round %d: %d live sessions, core has %d", round, n, w.openSessions())
		}
		w.do(w.ana, "DELETE", "/sessions/"+first.ID, nil).want(200)
	}
}
