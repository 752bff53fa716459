package nginx_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/core/proxy/proxytest"
	"github.com/ownline/ownline/internal/link"
)

// openWrt lays nginx out as OpenWrt does: the configuration is a link to one that is made of UCI's, with
// root's workers, small buffers and conf.d/*.conf, where our line is; the pid is said to neither of the two, and an init
// script reloads, if it finds the master that it has started.
func openWrt(t *testing.T, s *server, _ string) []string {
	s.group = -1 // root asks
	etc, lib := filepath.Join(s.dir, "etc"), filepath.Join(s.dir, "lib")
	for _, dir := range []string{filepath.Join(etc, "conf.d"), filepath.Join(etc, "module.d"), lib} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;\n"
	}
	s.write(t, filepath.Join(etc, "mime.types"), "types { text/html html; }\n")
	s.write(t, filepath.Join(lib, "uci.conf"), `worker_processes auto;
`+user+`include module.d/*.module;
events {}
http {
	access_log off;
	include mime.types;
	default_type application/octet-stream;
	sendfile on;
	client_max_body_size 128M;
	large_client_header_buffers 2 1k;
	gzip on;
	gzip_vary on;
	gzip_proxied any;
	root /www;
	include conf.d/*.conf;
}
`)
	s.File = filepath.Join(etc, "uci.conf")
	if err := os.Symlink(filepath.Join(lib, "uci.conf"), s.File); err != nil {
		t.Fatal(err)
	}
	s.write(t, filepath.Join(etc, "conf.d", "ownline.conf"), fmt.Sprintf("include %s/*.conf;\n", s.Directory))
	options := fmt.Sprintf("daemon off; pid %s/pid;", s.dir)
	script := filepath.Join(s.dir, "init.sh")
	s.write(t, script, fmt.Sprintf(`#!/bin/sh
[ "$1" = reload ] || exit 1
%[1]s -t -c %[2]s -g '%[3]s' || { echo "NOT using conf file!" >&2; exit 1; }
pid=$(cat %[4]s/pid) && grep -q %[2]s /proc/$pid/cmdline || { echo "the service is not active" >&2; exit 1; }
kill -HUP $pid
`, s.Program, s.File, options, s.dir))
	if err := os.Chmod(script, 0o755); err != nil {
		t.Fatal(err)
	}
	s.Reload = []string{script, "reload"}
	return []string{"-c", s.File, "-g", options}
}

// In OpenWrt's layout the driver is as good as anywhere: who has a session is served, changes are taken, the last
// service goes, what is nonsense is put back, and an nginx that does not run is no error of ours.
func TestOpenWrt(t *testing.T) {
	s := start(t, ipv4, openWrt)
	s.Templates = true
	d := s.driver(t)
	p := s.world(ipv4)
	a, b := proxytest.StartHTTP(t, inside, "a", nil, false), proxytest.StartHTTP(t, inside, "b", nil, false)
	service := link.Service{ID: proxytest.ID("a"), Name: "a", Target4: a.Addr}
	get := func() (status int) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", p.URL("a", "/"), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Cookie", "long="+strings.Repeat("x", 8000)) // more than the main file's buffers
		resp, err := p.Browser(t, client, true).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if err := d.Apply(t.Context(), []link.Service{service}); err != nil {
		t.Fatal(err)
	}
	if got := get(); got != 403 {
		t.Errorf("without a session: %d", got)
	}
	s.door.Open(service.ID, client)
	if got := get(); got != 200 || len(a.Requests()) != 1 {
		t.Errorf("with a session: %d", got)
	}
	bad := service
	bad.Options.Template = "server {\n{ownline:listen}\n{ownline:guard}\nnonsense on; }\n"
	if err := d.Apply(t.Context(), []link.Service{bad}); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("nonsense: %v", err)
	}
	service.Target4 = b.Addr
	if err := d.Apply(t.Context(), []link.Service{service}); err != nil {
		t.Fatal(err)
	}
	if got := get(); got != 200 || len(b.Requests()) != 1 {
		t.Errorf("after a change: %d, and %d requests", got, len(b.Requests()))
	}
	pid := filepath.Join(s.dir, "pid")
	if err := os.Rename(pid, pid+".away"); err != nil {
		t.Fatal(err)
	}
	var away proxy.NotRunning
	if err := d.Apply(t.Context(), nil); !errors.As(err, &away) {
		t.Errorf("an nginx that does not run: %v", err)
	}
	if err := os.Rename(pid+".away", pid); err != nil {
		t.Fatal(err)
	}
	if err := d.Apply(t.Context(), nil); err != nil {
		t.Error(err)
	}
}
