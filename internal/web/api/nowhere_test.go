package api

import "testing"

func TestNowhere(t *testing.T) {
	w := newWorld(t)
	for path, allow := range map[string]string{
		"/services/" + sample: "GET, HEAD, PATCH, DELETE", "/me": "GET, HEAD", "/auth/login": "GET, HEAD, POST", "/auth/logout": "POST",
	} {
		got := w.do(w.admin, "OPTIONS", path, nil)
		got.problem(405, "")
		if got.header.Get("Allow") != allow {
			t.Errorf("%s allows %q", path, got.header.Get("Allow"))
		}
	}
	w.do("", "DELETE", "/me", nil).problem(405, "")
	for _, path := range []string{"/nothing", "/services/" + sample + "/nothing", "/"} {
		w.do(w.admin, "GET", path, nil).problem(404, "")
	}
}

// Headers that name another address count only when they come from a trusted proxy.
func TestForgedAddress(t *testing.T) {
	w := newWorld(t)
	trusting := w.do(w.ana, "GET", "/whoami", nil)
	if got := as[whoami](trusting, 200).Address; got != "198.51.100.7" {
		t.Fatalf("through a trusted proxy it is %s", got)
	}
	w.trustNobody()
	for _, forged := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "True-Client-Ip", "Cf-Connecting-Ip"} {
		value := "203.0.113.9"
		if forged == "Forwarded" {
			value = "for=203.0.113.9"
		}
		if got := as[whoami](w.raw("GET", "/whoami", nil, "Authorization", "Bearer "+w.ana, forged, value), 200); got.Address != "127.0.0.1" || got.Source != "" {
			t.Errorf("%s: it came from %+v", forged, got)
		}
	}
	ssh := w.addService("ssh", "192.168.7.10:22")
	w.addGrant(w.ana, ssh, nil)
	w.do(w.ana, "POST", "/sessions", m{"service": ssh.ID}).problem(422, "body.source")
	if w.openSessions() != 0 {
		t.Error("a forged address was let in")
	}
}
