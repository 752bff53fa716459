package e2e

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"

	"github.com/ownline/ownline/internal/core"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
	"github.com/ownline/ownline/test/world/worldtest"
)

// publishYAML publishes web at the site, with a doorstep.
const publishYAML = `
publish: 192.168.7.10:8080
trusted_proxies: [192.168.7.1]
public_url: https://ownline.` + world.Domain + `:9999
doorstep: true
`

// startBehind starts a world whose names are served by one of fronts.
func startBehind(t *testing.T, f front, o world.Options) *suite {
	t.Helper()
	o.CoreYAML = f.core
	s := start(t, o)
	if f.start != nil {
		server := f.start(s)
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("the server says:\n%s", worldtest.Tail(server.Log()))
			}
		})
	}
	return s
}

// ask sends a request to a name, and returns what comes back; 0: nothing does.
func ask(browser *http.Client, method, url, body string, head ...string) (status int, kind, text string) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err.Error()
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(head); i += 2 {
		req.Header.Set(head[i], head[i+1])
	}
	resp, err := browser.Do(req)
	if err != nil {
		return 0, "", err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, "", err.Error()
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), string(b)
}

type invited struct{ ID, Link string }

// guest is what a guest's page asks.
func guest(browser *http.Client, call, secret string, head ...string) (status int, text string) {
	body, _ := json.Marshal(map[string]string{"secret": secret})
	status, _, text = ask(browser, "POST", world.URL(ownline.Doorstep, "/api/v1/invitations/"+call), string(body), head...)
	return status, text
}

// Invariants 1, 3, 4 and 8: to guests the router is dark until somebody is invited. Then
// everybody meets the page for guests, under one name, and nothing else; the guest is let in for the
// address they come from; and with the last invitation the door is shut, to all but the guest.
func TestDoorstep(t *testing.T) {
	for name, made := range fronts {
		t.Run(name, func(t *testing.T) {
			testDoorstep(t, name, startBehind(t, made(t), world.Options{WebYAML: publishYAML}))
		})
	}
}

func testDoorstep(t *testing.T, front string, s *suite) {
	b := s.Bed
	id, err := s.AddProxied(t.Context(), "cloud", bed.HTTPPort)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddProxied(t.Context(), "cam", bed.HTTPPort); err != nil {
		t.Fatal(err)
	}
	at := []netip.AddrPort{s.public(false, world.ProxyPort), s.public(true, world.ProxyPort)}
	client, stranger, lan := s.browser(b.Client1), s.browser(b.Stranger), s.browser(b.Lan)
	dark := func(when string) {
		t.Helper()
		for _, at := range at {
			if got := reach(b.Stranger, at); got == bed.Open {
				t.Errorf("%s, a stranger finds %s open", when, at)
			}
		}
	}
	invite := func(more world.Map) (i invited, secret string) {
		t.Helper()
		in := world.Map{"service": id}
		for k, v := range more {
			in[k] = v
		}
		s.call("POST", "/invitations", in, &i)
		page, secret, ok := strings.Cut(i.Link, "#")
		if !ok || page != world.URL(ownline.Doorstep, "/i/") {
			t.Fatalf("the link is %s", i.Link)
		}
		return i, secret
	}
	open := func() {
		t.Helper()
		eventually(t, patience, "the page is there", func() bool {
			status, _, _ := ask(client, "GET", world.URL(ownline.Doorstep, "/i/"), "")
			return status == http.StatusOK
		})
	}
	// Both, or nginx reloads for the second one below, and closes a connection that it has just taken.
	for _, name := range []string{"cloud", "cam"} {
		eventually(t, patience, "the names are served", func() bool { _, err := get(lan, name, "/"); return err == nil })
	}
	dark("with no invitation")

	first, secret := invite(world.Map{"message": "come in"})
	open()
	for _, at := range at {
		eventually(t, patience, "the port is open to a stranger", func() bool { return reach(b.Stranger, at) == bed.Open })
	}
	if status, kind, text := ask(client, "GET", world.URL(ownline.Doorstep, "/i/config.json"), ""); status != 200 || kind != "application/json" || !strings.Contains(text, `"way":"api"`) {
		t.Errorf("the page is set up by %d %s %s", status, kind, text)
	}
	// Nothing but the page is there.
	for _, what := range []string{
		"GET /", "GET /login", "GET /healthz", "GET /api/v1/whoami", "GET /api/v1/openapi.json", "POST /api/v1/auth/login", "POST /api/v1/setup",
		"GET /api/v1/invitations", "GET /api/v1/invitations/preview", "POST /api/v1/invitations", "PUT /api/v1/invitations/redeem", "DELETE /i/",
		"GET /i/?x=1", "GET /i/../login", "GET /i/%2e%2e/login", "GET /i/assets/..%2flogin", "POST /i/", "POST /api/v1/invitations/preview/", "GET /assets/index.js",
	} {
		method, path, _ := strings.Cut(what, " ")
		if status, _, text := ask(client, method, world.URL(ownline.Doorstep, path), "{}"); status != 404 && status != 400 {
			t.Errorf("%s: %d %.200s", what, status, text)
		}
	}
	// And no other name, to a stranger who has found the open port.
	for _, name := range []string{"cloud", "cam", "ownline", "nothing"} {
		status, _, text := ask(stranger, "GET", world.URL(name, "/"), "")
		if front == "embedded" && !strings.Contains(text, "unrecognized name") || status/100 == 2 || status/100 == 5 {
			t.Errorf("a stranger who asks for %s gets %d %.200s", name, status, text)
		}
	}
	if front == "embedded" {
		c, err := b.Stranger.Dial("tcp", at[0], time.Second)
		if err != nil {
			t.Fatal(err)
		}
		s := tls.Client(c, &tls.Config{ServerName: ownline.Doorstep + "." + world.Domain, InsecureSkipVerify: true})
		io.WriteString(s, "GET / HTTP/1.1\r\nHost: cloud."+world.Domain+"\r\nConnection: close\r\n\r\n")
		answer, _ := io.ReadAll(s)
		if !bytes.HasPrefix(answer, []byte("HTTP/1.1 421 ")) {
			t.Errorf("by the doorstep's name, another one is answered: %.200s", answer)
		}
		c.Close()
	}

	// A link that is none; one that is, with headers that a guest made up.
	if status, text := guest(stranger, "redeem", strings.Repeat("A", 22)); status != 404 && status != 422 {
		t.Errorf("a link that is none: %d %s", status, text)
	}
	if status, text := guest(client, "preview", secret, "Origin", "https://evil.example"); status != 400 {
		t.Errorf("asked by another page: %d %s", status, text)
	}
	var seen struct{ State, Source, Message string }
	status, text := guest(client, "preview", secret, "X-Forwarded-For", "192.0.2.99", "X-Real-IP", "192.0.2.99", "Forwarded", "for=192.0.2.99", "Cookie", "x=y",
		"Origin", strings.TrimSuffix(world.URL(ownline.Doorstep, ""), "/"))
	if err := json.Unmarshal([]byte(text), &seen); err != nil || status != 200 || seen.State != "valid" || seen.Source != b.Client1.IPv4.String() || seen.Message != "come in" {
		t.Fatalf("the guest is told %d %s", status, text)
	}
	if status, text = guest(client, "redeem", secret); status != 200 || !strings.Contains(text, world.URL("cloud", "/")) || !strings.Contains(text, b.Client1.IPv4.String()+"/32") {
		t.Fatalf("the guest is let in: %d %s", status, text)
	}
	if _, err := get(client, "cloud", "/"); err != nil {
		t.Errorf("the guest, let in: %v", err)
	}
	if _, err := get(client, "cam", "/"); err == nil {
		t.Error("let in to one service, the guest got another")
	}
	eventually(t, patience, "with the last use, the door is shut", func() bool { return reach(b.Stranger, at[0]) != bed.Open })
	dark("after the last use")
	if _, err := get(client, "cloud", "/"); err != nil {
		t.Errorf("the guest, with the door shut: %v", err)
	}
	s.guestAtDoorstep()
	if status, text := guest(stranger, "preview", secret); status == 200 {
		t.Errorf("with the door shut, somebody else with the link is told %s", text)
	}
	if status, text := guest(s.browser(b.Client1), "preview", secret); status != 200 || !strings.Contains(text, `"opened":`) {
		t.Errorf("with the door shut, the guest is told %d %s", status, text)
	}

	// Revoked, it is shut when that is answered.
	s.call("DELETE", "/invitations/"+first.ID, nil, nil)
	second, _ := invite(nil)
	open()
	s.call("DELETE", "/invitations/"+second.ID, nil, nil)
	dark("with the invitation revoked")

	// Core is killed with the door open: the kernel knows when to shut it.
	_, secret = invite(world.Map{"expires_in": "5m"})
	open()
	left := s.doorTimes()
	if err := s.Core.Kill(); err != nil {
		t.Fatal(err)
	}
	if len(left) != 4 {
		t.Errorf("the kernel's own times are %v", left)
	}
	for set, left := range left {
		if left < 4*time.Minute || left > 5*time.Minute+4*time.Second {
			t.Errorf("in %s, the kernel shuts the door in %v", set, left)
		}
	}
	if front == "embedded" {
		dark("with core dead")
	}
	if status, text := guest(client, "preview", secret); status == 200 {
		t.Errorf("with core dead, a guest is told %s", text)
	}
	if err := s.Core.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	open()
	if _, err := get(stranger, "cloud", "/"); err == nil {
		t.Error("after core's death, a stranger gets a service")
	}
	// And web: core shuts it by itself, as its status says.
	var said struct{ Proxy struct{ Doorstep time.Time } }
	out, err := s.CoreCommand(t.Context(), "status", "--json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &said); err != nil || time.Until(said.Proxy.Doorstep) < 3*time.Minute || time.Until(said.Proxy.Doorstep) > 5*time.Minute {
		t.Errorf("core says that it shuts the door at %v, %v", said.Proxy.Doorstep, err)
	}
}

// guestAtDoorstep is with one guest, whose session the router tells from what leads them to the doorstep meanwhile.
func (s *suite) guestAtDoorstep() {
	s.t.Helper()
	var list []core.Listed
	out, err := s.CoreCommand(s.t.Context(), "sessions", "--json")
	if err != nil || json.Unmarshal(out, &list) != nil || len(list) != 2 {
		s.t.Fatalf("open are %s, %v", out, err)
	}
	for _, l := range list {
		if l.Doorstep != (l.Service == ownline.Doorstep) {
			s.t.Errorf("of a session, core says %+v", l)
		}
	}
	if st := s.status(); st.Sessions != 1 || st.DoorstepSessions != 1 {
		s.t.Errorf("core counts %d sessions, and %d for the doorstep", st.Sessions, st.DoorstepSessions)
	}
	from := s.Bed.Client1.IPv4.String()
	said := ""
	for _, f := range s.explain(from).Findings {
		if strings.Contains(f.Text, ownline.Doorstep) {
			said += f.Text
			if f.Problem {
				s.t.Errorf("a problem is %s", f.Text)
			}
		}
	}
	if !strings.HasPrefix(said, "A guest at "+from) {
		s.t.Errorf("of the doorstep, it explains %q", said)
	}
}

// doorTimes reads from the kernel how long the door stays open, by the names of the sets.
func (s *suite) doorTimes() map[string]time.Duration {
	s.t.Helper()
	left := map[string]time.Duration{}
	err := s.Bed.Router.Do(func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		table := &nftables.Table{Name: "ownline", Family: nftables.TableFamilyINet}
		for _, name := range []string{"open4", "open6", "stay4", "stay6"} {
			set, err := c.GetSetByName(table, name)
			if err != nil {
				return err
			}
			elements, err := c.GetSetElements(set)
			if err != nil {
				return err
			}
			for _, e := range elements {
				left[name] = e.Expires
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return left
}

// Invariant 8: web is published through the proxy; after a knock its pages are there, and it sees
// where its clients come from, whatever they say.
func TestPublished(t *testing.T) {
	for name, made := range fronts {
		t.Run(name, func(t *testing.T) {
			s := startBehind(t, made(t), world.Options{WebYAML: publishYAML})
			client, lan := s.browser(s.Bed.Client1), s.browser(s.Bed.Lan)
			eventually(t, patience, "web is served", func() bool {
				status, _, _ := ask(lan, "GET", world.URL(ownline.OwnService, "/healthz"), "")
				return status == http.StatusOK
			})
			wantState(t, s.Bed.Client1, s.public(false, world.ProxyPort), false)
			s.knock(s.device(), s.Bed.Client1, false)
			in, _ := json.Marshal(world.Map{"name": world.AdminName, "password": world.AdminPassword, "label": "phone"})
			status, _, text := ask(client, "POST", world.URL(ownline.OwnService, "/api/v1/auth/token"), string(in))
			var got struct{ Token string }
			if err := json.Unmarshal([]byte(text), &got); err != nil || status != 200 {
				t.Fatalf("after a knock, nobody can sign in: %d %s", status, text)
			}
			status, _, text = ask(client, "GET", world.URL(ownline.OwnService, "/api/v1/whoami"), "", "Authorization", "Bearer "+got.Token, "X-Forwarded-For", "192.0.2.99", "X-Real-IP", "192.0.2.99", "Forwarded", "for=192.0.2.99")
			if status != 200 || !strings.Contains(text, `"`+s.Bed.Client1.IPv4.String()+`"`) {
				t.Errorf("after a knock, web says %d %s", status, text)
			}
		})
	}
}
