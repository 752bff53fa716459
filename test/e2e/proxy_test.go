package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

// get asks a browser for a page, and says what kept it from coming.
func get(browser *http.Client, service, path string) (bed.Page, error) {
	resp, err := browser.Get(world.URL(service, path))
	if err != nil {
		return bed.Page{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return bed.Page{}, errors.New(resp.Status)
	}
	var p bed.Page
	return p, json.NewDecoder(resp.Body).Decode(&p)
}

func (s *suite) browser(h *bed.Host) *http.Client {
	s.t.Helper()
	b, err := s.Browser(s.t.Context(), h)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// Invariants 1, 3, 4 and 8: a proxied service is there for the source of its session, under its
// name, and ends with it, downloads too; the LAN needs none; everybody else meets a closed port.
func TestProxiedService(t *testing.T) {
	s := start(t, world.Options{CoreYAML: world.ProxyYAML})
	b := s.Bed
	var ids [2]string
	for i, name := range []string{"cloud", "cam"} {
		var err error
		if ids[i], err = s.AddProxied(t.Context(), name, bed.HTTPPort); err != nil {
			t.Fatal(err)
		}
	}
	at := netip.AddrPortFrom(b.Router.IPv4, world.ProxyPort)
	client, neighbour, lan := s.browser(b.Client1), s.browser(b.Client2), s.browser(b.Lan)
	wantState(t, b.Client1, at, false)

	session := s.open(ids[0], b.Client1.IPv4, time.Minute, 0)
	if session.PublicPort != world.ProxyPort {
		t.Errorf("the session is %+v", session)
	}
	p, err := get(client, "cloud", "/a/b?c")
	if err != nil {
		t.Fatal(err)
	}
	if p.Path != "/a/b" || p.Headers.Get("X-Forwarded-For") != b.Client1.IPv4.String() || p.Headers.Get("X-Forwarded-Proto") != "https" {
		t.Errorf("the service sees %+v", p)
	}
	if _, err := get(client, "cam", "/"); err == nil {
		t.Error("let in to one service, the client got another")
	}
	if _, err := get(neighbour, "cloud", "/"); err == nil {
		t.Error("a neighbour got the service")
	}
	wantState(t, b.Client2, at, false)
	wantState(t, b.Stranger, at, false)
	for _, name := range []string{"cloud", "cam"} {
		if _, err := get(lan, name, "/"); err != nil {
			t.Errorf("the LAN, without a session: %v", err)
		}
	}

	// A second service for the same source: the end of the first is none of its business.
	s.open(ids[1], b.Client1.IPv4, time.Minute, 0)
	download := func(service string) (io.ReadCloser, func() error) {
		t.Helper()
		resp, err := client.Get(world.URL(service, "/stream?bytes=100000000&rate=1000000"))
		if err != nil {
			t.Fatal(err)
		}
		return resp.Body, func() error { _, err := io.CopyN(io.Discard, resp.Body, 1000); return err }
	}
	cloud, moreOfCloud := download("cloud")
	defer cloud.Close()
	cam, moreOfCam := download("cam")
	defer cam.Close()
	if err := moreOfCloud(); err != nil {
		t.Fatal(err)
	}
	s.close(session.ID)
	closed := time.Now()
	_, err = io.Copy(io.Discard, cloud)
	if took := time.Since(closed); err == nil || took > soon {
		t.Errorf("the download ended with %v after %v", err, took)
	}
	if err := moreOfCam(); err != nil {
		t.Errorf("the other service's download: %v", err)
	}
	if _, err := get(client, "cloud", "/"); err == nil {
		t.Error("after its end, the session still lets in")
	}
	if _, err := get(client, "cam", "/"); err != nil {
		t.Errorf("the other service: %v", err)
	}

	// The kernel ends what core does not live to see.
	s.call("DELETE", "/sessions?all=true", nil, nil)
	eventually(t, soon, "the port is closed", func() bool { return b.Client1.ConnectTCP(at, 300*time.Millisecond).State != bed.Open })
	if _, err := get(lan, "cloud", "/"); err != nil {
		t.Errorf("the LAN, after all sessions: %v", err)
	}
}

// Invariant 10: a name that would break a configuration is refused by web, and names the field.
func TestProxiedNames(t *testing.T) {
	s := start(t, world.Options{CoreYAML: world.ProxyYAML})
	for _, name := range []string{"a;}", "../x", `a"b`, "a'b", "a\nb", strings.Repeat("a", 300)} {
		err := s.API.Call(t.Context(), "POST", "/services", world.Map{
			"site": s.Site, "name": name, "kind": "proxy", "target": netip.AddrPortFrom(s.Bed.Lan.IPv4, bed.HTTPPort).String(),
		}, nil)
		if err == nil || !strings.Contains(err.Error(), "body.name") || !strings.Contains(err.Error(), "422") {
			t.Errorf("%.20q: %v", name, err)
		}
	}
}
