package schemathesis

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/sites/coretest"
)

const password = "four words are enough"

// No server error, no status that is not documented, no answer that its schema does not
// allow: as an admin, and as a user. `make schemathesis` brings the tool, and `make test` too.
func TestAPI(t *testing.T) {
	tool := os.Getenv("SCHEMATHESIS")
	if tool == "" {
		t.Skip("make schemathesis runs this: SCHEMATHESIS does not name the tool")
	}
	url := serve(t)
	tokens := map[string]string{"root": "", "ana": ""} // before the tool guesses passwords
	for name := range tokens {
		tokens[name] = token(t, url, name)
	}
	for _, name := range []string{"root", "ana"} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), tool, "run", url+"/api/v1/openapi.json", "--url", url,
				"--header", "Authorization: Bearer "+tokens[name],
				"--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance",
				"--exclude-operation-id", "events", // has no end
				"--exclude-operation-id", "logout", // ends the token
				"--max-examples", cmp.Or(os.Getenv("EXAMPLES"), "3"), "--max-time", cmp.Or(os.Getenv("SECONDS"), "30"),
				"--phases", "examples,coverage,fuzzing", "--workers", "1", "--no-color", "--continue-on-failure",
				"--suppress-health-check", "all", "--warnings", "off", "--generation-database", "none")
			cmd.Dir = t.TempDir()
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			t.Logf("%s", out[max(0, len(out)-1500):])
			if !bytes.Contains(out, []byte("generated")) {
				t.Errorf("it has tried nothing:\n%s", out)
			}
		})
	}
}

// serve runs ownline-web with a site whose core does all it is told, a service and two users.
func serve(t *testing.T) string {
	cfg := config.DefaultWeb()
	cfg.StateDir, cfg.Listen = t.TempDir(), "127.0.0.1:0"
	w, err := web.Open(t.Context(), cfg, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	addr, done := make(chan net.Addr, 1), make(chan error, 1)
	for name, role := range map[string]ownline.Role{"root": ownline.Admin, "ana": ownline.Person} {
		if _, err := w.Access().AddUser(ctx, access.Command(), access.NewUser{Name: name, Password: password, Role: role}); err != nil {
			t.Fatal(err)
		}
	}
	go func() { done <- w.Serve(ctx, web.ServeOptions{Listening: func(a net.Addr) { addr <- a }}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	var url string
	select {
	case a := <-addr:
		url = "http://" + a.String()
	case err := <-done:
		t.Fatal(err)
	}
	core := coretest.Serve(t, coretest.New("token"))
	site, err := w.Access().PairSite(ctx, access.Command(), core.Code("token"), "home", "home.example.org")
	if err != nil {
		t.Fatal(err)
	}
	target := site.LocalNetworks[0].Addr().Next()
	if _, err := w.Access().AddService(ctx, access.Command(), access.NewService{Site: site.ID, Name: "ssh", Target4: netip.AddrPortFrom(target, 22)}); err != nil {
		t.Fatal(err)
	}
	return url
}

func token(t *testing.T, url, name string) string {
	body, err := json.Marshal(map[string]string{"name": name, "password": password})
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Post(url+"/api/v1/auth/token", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got struct{ Token string }
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || got.Token == "" {
		t.Fatalf("no token for %s: %s, %v", name, resp.Status, err)
	}
	return got.Token
}
