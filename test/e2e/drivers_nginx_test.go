package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
	"github.com/ownline/ownline/test/world/worldtest"
)

// nginxDir is where an nginx of somebody else's has what it needs, and core its part of it.
type nginxDir string

func (d nginxDir) file(name string) string { return filepath.Join(string(d), name) }

// newNginx configures an nginx whose workers are another user, when there is one. Core knows
// their group by name.
func newNginx(t *testing.T) (d nginxDir, f front) {
	t.Helper()
	program, err := exec.LookPath("nginx")
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			t.Fatal("nginx is not installed; make test installs it")
		}
	}
	dir, err := os.MkdirTemp("", "ownline-e2e-nginx-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // nginx's workers are not root
		t.Fatal(err)
	}
	d = nginxDir(dir)
	as, group := "", ""
	if u, err := user.Lookup("www-data"); err == nil {
		gid, _ := strconv.Atoi(u.Gid)
		if os.Chown(dir, -1, gid) == nil { // not in a user namespace, which has root alone
			as, group = "user www-data www-data;\n", ", gate_group: www-data"
		}
	}
	write(t, d.file("nginx.conf"), fmt.Sprintf(`%[1]sdaemon off; pid %[2]s/pid; worker_processes 2;
events { worker_connections 1024; }
http { access_log off; client_body_temp_path %[2]s/t1; proxy_temp_path %[2]s/t2; fastcgi_temp_path %[2]s/t3; uwsgi_temp_path %[2]s/t4; scgi_temp_path %[2]s/t5;
include %[2]s/mine.conf; include %[2]s/d/*.conf; }
`, as, dir), 0o644)
	write(t, d.file("mine.conf"), "", 0o644)
	write(t, d.file("nginx"), fmt.Sprintf("#!/bin/sh\nexec %s -e stderr -c %s/nginx.conf \"$@\"\n", program, dir), 0o755)
	return d, front{
		core: world.ProxyWith(fmt.Sprintf("driver: nginx, gate_socket: %[1]s/gate%[2]s, nginx: {directory: %[1]s/d, program: %[1]s/nginx, templates: true}", dir, group)),
		start: func(s *suite) *world.Daemon {
			server, err := s.StartOnRouter(t.Context(), d.file("nginx"))
			if err != nil {
				t.Fatal(err)
			}
			return server
		},
		kill: func(server *world.Daemon) error {
			pid, err := os.ReadFile(d.file("pid"))
			if err != nil {
				return err
			}
			id := strings.TrimSpace(string(pid))
			workers, err := os.ReadFile(fmt.Sprintf("/proc/%s/task/%s/children", id, id))
			if err != nil {
				return err
			}
			if err := server.Kill(); err != nil {
				return err
			}
			for _, w := range strings.Fields(string(workers)) { // they would go on without their master
				if n, err := strconv.Atoi(w); err == nil {
					_ = syscall.Kill(n, syscall.SIGKILL)
				}
			}
			return nil
		},
	}
}

func nginxFront(t *testing.T) front {
	_, f := newNginx(t)
	return f
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// Invariants 5 and 6: what nginx refuses is told to the admin, and changes nothing of what is
// served; a file that was left half written is made anew. An admin's own server block is served
// like any other.
func TestNginxRefuses(t *testing.T) {
	d, f := newNginx(t)
	s := start(t, world.Options{CoreYAML: f.core})
	server := f.start(s)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("nginx says:\n%s", worldtest.Tail(server.Log()))
		}
	})
	id, err := s.AddProxied(t.Context(), "cloud", bed.HTTPPort)
	if err != nil {
		t.Fatal(err)
	}
	lan := s.browser(s.Bed.Lan)
	serves := func(name string) func() bool {
		return func() bool { _, err := get(lan, name, "/"); return err == nil }
	}
	trouble := func() string {
		out, err := s.CoreCommand(t.Context(), "status", "--json")
		if err != nil {
			t.Fatal(err)
		}
		var status struct{ Proxy struct{ Error string } }
		if err := json.Unmarshal(out, &status); err != nil {
			t.Fatal(err)
		}
		return status.Proxy.Error
	}
	eventually(t, patience, "the name is served", serves("cloud"))
	good, err := os.ReadFile(d.file("d/ownline.conf"))
	if err != nil {
		t.Fatal(err)
	}

	own := func(more string) world.Map {
		return world.Map{"options": world.Map{"template": "server {\nserver_name {{.Host}};\n{{.Listen}}\n{{.Guard}}\n" + more + "\nlocation / {\n{{.Forward}}\nproxy_pass {{.Target}};\n}\n}\n"}}
	}
	s.call("PATCH", "/services/"+id, own("nonsense on;"), nil)
	eventually(t, patience, "core tells what nginx says", func() bool { return strings.Contains(trouble(), `unknown directive "nonsense"`) })
	// Web looks now and then, and when it starts.
	if err := s.Web.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.Web.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	var sites struct {
		Items []struct{ Proxy struct{ Error string } }
	}
	eventually(t, patience, "web tells it, too", func() bool {
		s.call("GET", "/sites", nil, &sites)
		return len(sites.Items) == 1 && strings.Contains(sites.Items[0].Proxy.Error, `unknown directive "nonsense"`)
	})
	if now, _ := os.ReadFile(d.file("d/ownline.conf")); !bytes.Equal(now, good) {
		t.Errorf("the file became\n%s", now)
	}
	if _, err := get(lan, "cloud", "/"); err != nil {
		t.Errorf("what was served before: %v", err)
	}

	if err := s.Core.Kill(); err != nil {
		t.Fatal(err)
	}
	write(t, d.file("d/ownline.conf"), strings.Split(string(good), "\n")[0]+"\nserver { listen", 0o644) // killed while it wrote
	if err := s.Core.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.call("PATCH", "/services/"+id, own("add_header X-Own yes always;"), nil)
	eventually(t, patience, "the admin's own block is served", func() bool {
		resp, err := lan.Get(world.URL("cloud", "/"))
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == 200 && resp.Header.Get("X-Own") == "yes"
	})
	eventually(t, patience, "all is well", func() bool { return trouble() == "" })
	client := s.browser(s.Bed.Client1)
	if _, err := get(client, "cloud", "/"); err == nil {
		t.Error("without a session, a client got the service")
	}
	session := s.open(id, s.Bed.Client1.IPv4, 10*time.Minute, 0)
	// For a moment after a reload old workers of nginx take connections, too, and are refused.
	eventually(t, patience, "with a session the client is in", func() bool {
		_, err := get(client, "cloud", "/")
		return err == nil
	})
	s.close(session.ID)
	if _, err := get(client, "cloud", "/"); err == nil {
		t.Error("after its session, a client got the service")
	}
}
