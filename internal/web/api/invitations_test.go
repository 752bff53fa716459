package api

import (
	"strings"
	"sync"
	"testing"
)

type madeInvitation struct {
	Invitation
	Link string
}

func (w *world) invite(token string, s service, more map[string]any) (madeInvitation, string) {
	w.t.Helper()
	body := map[string]any{"service": s.ID, "message": "For you"}
	for k, v := range more {
		body[k] = v
	}
	i := as[madeInvitation](w.do(token, "POST", "/invitations", body), 201)
	base, secret, ok := strings.Cut(i.Link, "#")
	if !ok || base != "https://own.example.org:9999/i/" || len(secret) != 43 {
		w.t.Fatalf("the link is %q", i.Link)
	}
	return i, secret
}

// guest sends a request as somebody without an account does.
func (w *world) guest(path, secret, from string) answer {
	w.t.Helper()
	return w.raw("POST", "/invitations/"+path, map[string]any{"secret": secret}, "X-Forwarded-For", from)
}

func TestInvitations(t *testing.T) {
	w := newWorld(t)
	ssh := w.addService("ssh", "192.168.7.10:22")
	w.addGrant(w.ana, ssh, map[string]any{"max_duration": "1h"})
	w.do(w.bob, "POST", "/invitations", map[string]any{"service": ssh.ID}).problem(422, "body.service")
	w.do(w.ana, "POST", "/invitations", map[string]any{"service": ssh.ID, "for": "2h"}).problem(422, "body.for")
	w.do(w.ana, "POST", "/invitations", map[string]any{"service": ssh.ID, "countries": []string{"ES"}}).problem(422, "body.countries")
	w.do("", "POST", "/invitations", map[string]any{"service": ssh.ID}).problem(401, "")

	i, secret := w.invite(w.ana, ssh, map[string]any{"for": "10m"})
	one := "/invitations/" + i.ID
	for token, n := range map[string]int{w.ana: 1, w.bob: 0, w.admin: 0} {
		if got := w.count(token, "/invitations"); got != n {
			t.Errorf("%d invitations in a list, want %d", got, n)
		}
	}
	if w.count(w.admin, "/invitations?all=true&state=valid&service="+ssh.ID+"&site="+w.site.ID+"&user="+w.id(w.ana)) != 1 || w.count(w.admin, "/invitations?all=true&state=used") != 0 {
		t.Error("the filters of the list are wrong")
	}
	w.do(w.bob, "GET", one, nil).problem(404, "path.id")
	w.do(w.bob, "DELETE", one, nil).problem(404, "path.id")
	if body := string(w.do(w.ana, "GET", one, nil).want(200).body); strings.Contains(body, secret) || strings.Contains(body, "link") {
		t.Errorf("the secret is shown again: %s", body)
	}

	// Looking consumes nothing, and no GET redeems.
	for range 7 {
		v := as[welcome](w.guest("preview", secret, "198.51.100.40"), 200)
		if v.State != "valid" || v.Host != "home.example.org" || v.Service != "ssh" || v.From != "ana" || v.Message != "For you" || v.Seconds != 600 || v.Left != 1 || v.Opened != nil {
			t.Fatalf("the preview is %+v", v)
		}
	}
	for _, path := range []string{"/invitations/redeem?secret=" + secret, "/invitations/redeem", "/invitations/preview"} {
		if got := w.raw("GET", path, nil); got.status < 400 {
			t.Errorf("GET %s answers %d", path, got.status)
		}
	}
	// Another origin's page can't redeem, whoever opens it.
	w.raw("POST", "/invitations/redeem", map[string]any{"secret": secret}, "X-Forwarded-For", "198.51.100.40", "Origin", "https://evil.example.org", "Sec-Fetch-Site", "cross-site").problem(403, "")
	if w.openSessions() != 0 {
		t.Fatal("something is open before anybody redeemed")
	}

	got := as[guestAccess](w.guest("redeem", secret, "198.51.100.40"), 200)
	if got.Host != "home.example.org" || got.Port == 0 || got.Transport != "tcp" || got.Source != "198.51.100.40/32" {
		t.Errorf("redeemed: %+v", got)
	}
	w.guest("redeem", secret, "198.51.100.41").problem(409, "body")
	if v := as[welcome](w.guest("preview", secret, "198.51.100.40"), 200); v.State != "used" || v.Opened == nil || v.Opened.Port != got.Port {
		t.Errorf("back again: %+v", v)
	}
	ss := as[list[session]](w.do(w.ana, "GET", "/sessions?state=live", nil), 200).Items
	if len(ss) != 1 || !ss[0].Guest || ss[0].Invitation != i.ID || ss[0].UserName != "ana" {
		t.Errorf("sessions: %+v", ss)
	}
	if v := as[Invitation](w.do(w.admin, "DELETE", one, nil), 200); v.State != "revoked" {
		t.Errorf("revoked: %+v", v)
	}
	if w.openSessions() != 0 {
		t.Error("the guest is in after the invitation was revoked")
	}
	w.guest("redeem", secret, "198.51.100.40").problem(409, "body")
	if strings.Contains(w.log.String(), secret) {
		t.Error("the secret is in the log")
	}
}

// A guest who is done ends what they opened, and nothing else.
func TestLeave(t *testing.T) {
	w := newWorld(t)
	ssh := w.addService("ssh", "192.168.7.10:22")
	w.addGrant(w.ana, ssh, nil)
	i, secret := w.invite(w.ana, ssh, map[string]any{"uses": 2})
	w.guest("redeem", secret, "198.51.100.40").want(200)
	w.guest("redeem", secret, "198.51.100.41").want(200)
	w.raw("POST", "/sessions", m{"service": ssh.ID}, "Authorization", "Bearer "+w.ana, "X-Forwarded-For", "198.51.100.40").want(201)
	by := "/sessions?state=live&invitation=" + i.ID
	if w.count(w.ana, by) != 2 || w.openSessions() != 3 {
		t.Fatalf("%d by the invitation, %d open", w.count(w.ana, by), w.openSessions())
	}
	w.guest("leave", strings.Repeat("A", 43), "198.51.100.40").problem(422, "body.secret")
	for range 2 { // the second has nothing to end
		w.guest("leave", secret, "198.51.100.40").want(204)
		if left := as[list[session]](w.do(w.ana, "GET", by, nil), 200).Items; len(left) != 1 || left[0].Source != "198.51.100.41/32" {
			t.Fatalf("left open: %+v", left)
		}
	}
	if w.openSessions() != 2 {
		t.Errorf("core holds %d sessions", w.openSessions())
	}
	if v := as[welcome](w.guest("preview", secret, "198.51.100.40"), 200); v.State != "used" || v.Opened != nil {
		t.Errorf("the use was given back: %+v", v)
	}
}

// Who is inside is told where the service is; who is outside is told nothing of the LAN.
func TestInside(t *testing.T) {
	w := newWorld(t)
	_, secret := w.invite(w.admin, w.addService("ssh", "192.168.7.10:22"), nil)
	for from, want := range map[string]string{"192.168.7.50": "private 192.168.7.10:22", "198.51.100.40": "public ", "100.64.0.1": "carrier_nat "} {
		if v := as[welcome](w.guest("preview", secret, from), 200); v.Kind+" "+v.Inside != want {
			t.Errorf("from %s: %q, %q", from, v.Kind, v.Inside)
		}
	}
}

// A guest sees the icon of the service; a picture is for nobody without the link, nor for who is late.
func TestIconForGuests(t *testing.T) {
	w := newWorld(t)
	ssh := w.addService("ssh", "192.168.7.10:22")
	w.do(w.admin, "PATCH", "/services/"+ssh.ID, m{"icon": "terminal"}).want(200)
	i, secret := w.invite(w.admin, ssh, nil)
	const from = "198.51.100.40"
	if v := as[welcome](w.guest("preview", secret, from), 200); v.Icon != "terminal" {
		t.Errorf("the icon is %q", v.Icon)
	}
	w.guest("icon", secret, from).problem(422, "body")
	changed := as[service](w.do(w.admin, "PUT", "/services/"+ssh.ID+"/icon", sampleSVG, "Content-Type", "image/svg+xml"), 200)
	if v := as[welcome](w.guest("preview", secret, from), 200); v.Icon != changed.Icon {
		t.Errorf("the icon is %q, want %q", v.Icon, changed.Icon)
	}
	got := w.guest("icon", secret, from).want(200)
	if string(got.body) != sampleSVG {
		t.Errorf("the picture is %s", got.body)
	}
	for header, want := range map[string]string{
		"Content-Type": "image/svg+xml", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": iconPolicy, "Cache-Control": "no-store",
	} {
		if got.header.Get(header) != want {
			t.Errorf("%s is %q", header, got.header.Get(header))
		}
	}
	w.guest("icon", strings.Repeat("A", 43), from).problem(422, "body.secret")
	w.raw("GET", "/services/"+ssh.ID+"/icon", nil).problem(401, "")
	// Used up, it is for who is in alone; revoked, for nobody.
	w.guest("redeem", secret, from).want(200)
	w.guest("icon", secret, from).want(200)
	w.guest("icon", secret, "198.51.100.41").problem(409, "body")
	w.do(w.admin, "DELETE", "/invitations/"+i.ID, nil).want(200)
	w.guest("icon", secret, from).problem(409, "body")
}

// Core down: the use is given back. Two at once: one session.
func TestRedeem(t *testing.T) {
	w := newWorld(t)
	ssh := w.addService("ssh", "192.168.7.10:22")
	_, secret := w.invite(w.admin, ssh, nil)
	w.cores.setDown(true)
	w.guest("redeem", secret, "198.51.100.40").problem(503, "")
	w.cores.setDown(false)
	w.guest("redeem", secret, "10.0.0.1").problem(422, "body")
	var wg sync.WaitGroup
	statuses := make([]int, 2)
	for n, from := range []string{"198.51.100.40", "198.51.100.41"} {
		wg.Go(func() { statuses[n] = w.guest("redeem", secret, from).status })
	}
	wg.Wait()
	if statuses[0]+statuses[1] != 200+409 || w.openSessions() != 1 {
		t.Errorf("two at once got %v, %d open", statuses, w.openSessions())
	}
}

// Invariant 9: guessing is throttled and reported, and holds nobody else up.
func TestGuessing(t *testing.T) {
	w := newWorld(t)
	ssh := w.addService("ssh", "192.168.7.10:22")
	_, secret := w.invite(w.admin, ssh, nil)
	wrong := strings.Repeat("A", 43)
	last := 0
	for range 7 {
		last = w.guest("redeem", wrong, "198.51.100.66").status
	}
	w.guest("preview", "short", "198.51.100.67").problem(422, "body.secret")
	w.guest("preview", wrong, "198.51.100.67").problem(422, "body.secret")
	if last != 429 || !strings.Contains(w.log.String(), "guesses secrets") || strings.Contains(w.log.String(), wrong) {
		t.Errorf("the seventh guess: %d", last)
	}
	w.guest("redeem", secret, "198.51.100.68").want(200)
}
