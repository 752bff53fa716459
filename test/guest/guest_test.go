// Package guest plays invited guests, with the real page in a real browser, against a real server
// and a real broker.
package guest

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/broker/brokertest"
	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/invitation"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/guestpage"
	"github.com/ownline/ownline/internal/web/sites/coretest"
)

// seen is what visit.mjs prints.
type seen struct {
	Before, After, Mark, Language string
	Problems, Asked               []string
}

func visit(t *testing.T, what map[string]any) seen {
	t.Helper()
	arg, err := json.Marshal(what)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "guest/visit.mjs", string(arg))
	cmd.Dir = "../../pwa"
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the browser (`make guests` installs it): %v", err)
	}
	var s seen
	if err := json.Unmarshal(out, &s); err != nil {
		t.Fatal(err, string(out))
	}
	if len(s.Problems) > 0 {
		t.Errorf("the page has trouble: %v", s.Problems)
	}
	return s
}

// house is a server with a core, a broker and an exported guest page on another web host.
type house struct {
	t      *testing.T
	web    *web.Web
	core   *coretest.Server
	broker *brokertest.Broker
	host   access.Actor
	photos ownline.Service
	own    string // URL of the server
	other  string // URL of the exported page
	dir    string
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, core: coretest.Serve(t, coretest.New("token")), broker: brokertest.Start(t), dir: filepath.Join(t.TempDir(), "page")}
	address := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		_, _ = w.Write([]byte("198.51.100.40\n"))
	}))
	t.Cleanup(address.Close)
	cfg := config.DefaultWeb()
	cfg.StateDir, cfg.Listen = t.TempDir(), "127.0.0.1:0"
	cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	cfg.MQTT.URL = h.broker.TCP
	cfg.GuestPage = config.GuestPage{Broker: h.broker.WS, AddressURLs: []string{address.URL}}
	names, err := guestpage.Export(h.dir, web.GuestPage(cfg))
	if err != nil || len(names) < 5 {
		t.Fatalf("export: %v, %v (`make pages` builds the page)", names, err)
	}
	host := httptest.NewServer(http.FileServer(http.Dir(h.dir)))
	t.Cleanup(host.Close)
	h.other = host.URL + "/"

	if h.web, err = web.Open(t.Context(), cfg, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	addr, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- h.web.Serve(ctx, web.ServeOptions{Listening: func(a net.Addr) { addr <- a.String() }})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := h.web.Close(); err != nil {
			t.Error(err)
		}
	})
	select {
	case a := <-addr:
		h.own = "http://" + a + guestpage.Path
	case err := <-done:
		t.Fatal(err)
	}
	a := h.web.Access()
	site, err := a.PairSite(ctx, access.Command(), h.core.Code("token"), "home", "home.example.org")
	if err != nil {
		t.Fatal(err)
	}
	u, err := a.AddUser(ctx, access.Command(), access.NewUser{Name: "ana", Password: "four words are enough", Role: ownline.Admin})
	if err != nil {
		t.Fatal(err)
	}
	h.host = access.Actor{User: u, By: access.ByLogin}
	if h.photos, err = a.AddService(ctx, access.Command(), access.NewService{Site: site.ID, Name: "photos", Icon: "image", Target4: netip.MustParseAddrPort("192.168.7.10:80")}); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) invite() (ownline.InvitationID, string) {
	h.t.Helper()
	i, secret, err := h.web.Access().Invite(h.t.Context(), h.host, access.NewInvitation{Service: h.photos.ID, Message: "<b>Mind the dog</b>", For: 10 * time.Minute})
	if err != nil {
		h.t.Fatal(err)
	}
	return i.ID, invitation.FormatSecret(secret)
}

func (h *house) used(id ownline.InvitationID) int {
	h.t.Helper()
	i, err := h.web.Access().Invitation(h.t.Context(), access.Command(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return i.Used
}

func wantWords(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not in\n%s", w, text)
		}
	}
}

// The real page in a real browser, from both places that it can be loaded from: looking
// consumes nothing, a click opens, and coming back finds what is open.
func TestGuest(t *testing.T) {
	h := newHouse(t)
	for name, tc := range map[string]struct {
		page    string
		headers map[string]string
		picture bool // the service has a picture, not an icon of ours
		mark    string
	}{
		"through the broker": {h.other, nil, false, "glyph"},
		"from Ownline":       {h.own, map[string]string{"X-Forwarded-For": "198.51.100.40"}, true, "picture"},
	} {
		t.Run(name, func(t *testing.T) {
			h.t = t
			icon := "image"
			if tc.picture {
				icon = ""
			}
			v, err := h.web.Access().ChangeService(t.Context(), h.host, h.photos.ID, access.ServiceChange{Icon: &icon})
			if err == nil && tc.picture {
				_, err = h.web.Access().SetIcon(t.Context(), h.host, v.ID, []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path d="M4 4h16v16H4z"/></svg>`))
			}
			if err != nil {
				t.Fatal(err)
			}
			id, secret := h.invite()
			at := tc.page + "#" + secret
			s := visit(t, map[string]any{"url": at, "language": "es-ES", "headers": tc.headers})
			wantWords(t, s.Before, "ana te deja usar photos durante 10 minutos", "home.example.org", "Solo para tu dirección 198.51.100.40", "<b>Mind the dog</b>", "Abrir photos durante 10 minutos")
			if s.Mark != tc.mark {
				t.Errorf("the service is drawn as %q, want %q", s.Mark, tc.mark)
			}
			if s.Language != "es" || h.used(id) != 0 || len(h.core.Sessions()) != 0 {
				t.Fatalf("after looking: %d uses, core holds %d, language %s", h.used(id), len(h.core.Sessions()), s.Language)
			}
			s = visit(t, map[string]any{"url": at, "language": "en-GB", "headers": tc.headers, "click": true})
			wantWords(t, s.Before, "ana lets you use photos for 10 minutes", "Open photos for 10 minutes")
			wantWords(t, s.After, "photos is open for you", "home.example.org:2", "It closes by itself at ")
			if !regexp.MustCompile(`(?m)^(10:00|9:5\d)$`).MatchString(s.After) {
				t.Errorf("no countdown in\n%s", s.After)
			}
			if h.used(id) != 1 || len(h.core.Sessions()) != 1 {
				t.Errorf("after the click: %d uses, core holds %d", h.used(id), len(h.core.Sessions()))
			}
			s = visit(t, map[string]any{"url": at, "language": "en", "headers": tc.headers})
			wantWords(t, s.Before, "photos is open for you")
			for _, u := range s.Asked {
				if strings.Contains(u, secret) && !strings.Contains(u, "#") {
					t.Errorf("the secret goes over the wire: %s", u)
				}
			}
			if _, err := h.web.Access().RevokeInvitation(t.Context(), h.host, id); err != nil {
				t.Fatal(err)
			}
			if len(h.core.Sessions()) != 0 {
				t.Error("the guest is in after the invitation was revoked")
			}
			s = visit(t, map[string]any{"url": at, "language": "en", "headers": tc.headers})
			wantWords(t, s.Before, "This link was withdrawn.")
			if strings.Contains(s.Before, "photos") {
				t.Errorf("a link that is over names the service:\n%s", s.Before)
			}
		})
	}
}

// What the export holds: a policy that allows nothing else, and no secret.
func TestExport(t *testing.T) {
	h := newHouse(t)
	page, err := os.ReadFile(filepath.Join(h.dir, "index.html"))
	if err != nil {
		t.Fatal(err)
	}
	wantWords(t, string(page), `http-equiv="Content-Security-Policy"`, "default-src &#39;none&#39;", strings.TrimSuffix(h.broker.WS, "/"))
	for _, bad := range []string{"unsafe", "<style", "onclick"} {
		if strings.Contains(string(page), bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	if _, err := guestpage.Export(t.TempDir(), guestpage.Config{Broker: "wss://h"}); err == nil || !strings.Contains(err.Error(), "guest_page.address_urls") {
		t.Errorf("exported without a way to find the address: %v", err)
	}
	resp, err := http.Get(h.own)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if csp := resp.Header.Get("Content-Security-Policy"); resp.StatusCode != 200 || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("served: %d, %q", resp.StatusCode, csp)
	}
}
