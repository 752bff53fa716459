package nginx

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/core/proxy/gate"
	"github.com/ownline/ownline/internal/core/proxy/proxytest"
	"github.com/ownline/ownline/internal/link"
)

// nginx's workers from before still take connections when the first new one does: that one answers by the new file once
// does not mean that all do.
func TestSteady(t *testing.T) {
	var asked atomic.Int64
	var old atomic.Pointer[time.Time] // when it answered last
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 2 {
			now := time.Now()
			old.Store(&now)
			fmt.Fprint(w, "old")
			return
		}
		fmt.Fprint(w, "new")
	}))
	defer s.Close()
	d := &Driver{Config: Config{Listen: []netip.AddrPort{netip.MustParseAddrPort(s.Listener.Addr().String())}}}
	if err := d.serves(t.Context(), wanted{digest: "new", hosts: []string{"a.home.example"}}, time.Minute); err != nil {
		t.Fatal(err)
	}
	if last := old.Load(); last == nil || time.Since(*last) < steady {
		t.Errorf("it was believed after %d answers, the second of which was by the old file", asked.Load())
	}
}

// HTTP/2 is a word of listen up to 1.25.0, and a directive of its own from then on, where nginx was built with it.
// Without auth_request nobody could be refused.
func TestVersions(t *testing.T) {
	for says, want := range map[string]struct {
		v  version
		on bool
		ok bool
	}{
		"nginx version: nginx/1.22.1":          {version{number: [3]int{1, 22, 1}}, false, true},
		"nginx version: nginx/1.25.0 (Ubuntu)": {version{number: [3]int{1, 25, 0}}, false, true},
		"nginx version: nginx/1.25.1":          {version{number: [3]int{1, 25, 1}}, true, true},
		"nginx version: openresty/1.27.1.2":    {version{number: [3]int{1, 27, 1}}, true, true},
		"nginx version: nginx/1.19.3":          {version{number: [3]int{1, 19, 3}}, false, false},
		"nginx version: nginx":                 {version{}, false, false},
		"nginx version: nginx/1.26.1\nconfigure arguments: --with-http_ssl_module --with-http_auth_request_module --with-http_v2_module": {version{number: [3]int{1, 26, 1}}, true, true},
		"nginx version: nginx/1.26.1\nconfigure arguments: --with-http_ssl_module --with-http_auth_request_module":                       {version{number: [3]int{1, 26, 1}, noHTTP2: true}, false, true},
		"nginx version: nginx/1.21.3\nconfigure arguments: --with-http_ssl_module --with-http_auth_request_module":                       {version{number: [3]int{1, 21, 3}, noHTTP2: true}, false, true},
		"nginx version: nginx/1.26.1\nconfigure arguments: --with-http_ssl_module --with-http_v2_module":                                 {version{number: [3]int{1, 26, 1}}, false, false},
	} {
		dir := t.TempDir()
		program := filepath.Join(dir, "nginx")
		if err := os.WriteFile(program, []byte("#!/bin/sh\necho '"+says+"' >&2\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		d, err := New(Config{
			Settings: proxy.Settings{Domain: "home.example", Port: 9999}, Listen: []netip.AddrPort{netip.MustParseAddrPort("169.254.57.99:9999"), netip.MustParseAddrPort("[fd00::1]:9999")},
			Certificates: proxytest.Wildcard{Cert: proxytest.NewAuthority(t).Issue("*.home.example")},
			Directory:    filepath.Join(dir, "d"), Program: program, Reload: []string{"true"}, StateDir: filepath.Join(dir, "state"), Socket: filepath.Join(dir, "gate"),
			Gate: new(gate.Gate), Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		v, err := d.version(context.Background())
		if v != want.v || (err == nil) != want.ok {
			t.Errorf("%s: %v, %v", says, v, err)
		}
		if err != nil {
			continue
		}
		made, err := d.render([]link.Service{{ID: proxytest.ID("a"), Name: "a", Target4: netip.MustParseAddrPort("192.168.7.2:80")}}, v)
		if err != nil {
			t.Fatal(err)
		}
		words, directives := strings.Count(made.text, " ssl http2"), strings.Count(made.text, "\thttp2 on;")
		wantWords := 4
		if want.on || want.v.noHTTP2 {
			wantWords = 0
		}
		if words != wantWords || (directives == 1) != want.on {
			t.Errorf("%s: HTTP/2 is %d words and %d directives", says, words, directives)
		}
	}
}
