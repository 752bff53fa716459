package nginx

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/core/proxy/gate"
	"github.com/ownline/ownline/internal/core/proxy/proxytest"
	"github.com/ownline/ownline/internal/link"
)

// HTTP/2 is a word of listen up to 1.25.0, and a directive of its own from then on.
func TestVersions(t *testing.T) {
	for says, want := range map[string]struct {
		v  version
		on bool
		ok bool
	}{
		"nginx version: nginx/1.22.1":          {version{1, 22, 1}, false, true},
		"nginx version: nginx/1.25.0 (Ubuntu)": {version{1, 25, 0}, false, true},
		"nginx version: nginx/1.25.1":          {version{1, 25, 1}, true, true},
		"nginx version: openresty/1.27.1.2":    {version{1, 27, 1}, true, true},
		"nginx version: nginx/1.19.3":          {version{1, 19, 3}, false, false},
		"nginx version: nginx":                 {version{}, false, false},
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
		if want.on && (words != 0 || directives != 1) || !want.on && (words != 4 || directives != 0) {
			t.Errorf("%s: HTTP/2 is %d words and %d directives", says, words, directives)
		}
	}
}
