package cli

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/ownline"
)

// signedIn makes a configuration that is signed in to a server, which answers by method and path.
func signedIn(t *testing.T, answers map[string]any) (dir string, asked *[]string) {
	t.Helper()
	asked = new([]string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		what := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/api/v1")
		*asked = append(*asked, what)
		answer, ok := answers[what]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	a := &app{dir: t.TempDir()}
	if err := writeJSON(a.accountFile(), account{URL: server.URL, Name: "ana", Token: "token"}); err != nil {
		t.Fatal(err)
	}
	return a.dir, asked
}

// run runs the command line.
func run(t *testing.T, dir, stdin string, args ...string) (string, error) {
	t.Helper()
	cmd := New()
	var said bytes.Buffer
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&said)
	cmd.SetErr(&said)
	cmd.SetArgs(append([]string{"--config-dir", dir}, args...))
	err := cmd.ExecuteContext(t.Context())
	return said.String(), err
}

func page(items ...map[string]any) map[string]any { return map[string]any{"items": items} }

// A device of the same name is not made silently beside the one that there is.
func TestEnrollNewTwice(t *testing.T) {
	site, other := ownline.NewID[ownline.Site]().String(), ownline.NewID[ownline.Site]().String()
	id := ownline.NewID[ownline.Device]().String()
	user := ownline.NewID[ownline.User]().String()
	for name, tc := range map[string]struct {
		device map[string]any
		made   bool
	}{
		"same":      {map[string]any{"id": id, "site": site, "name": "laptop"}, false},
		"revoked":   {map[string]any{"id": id, "site": site, "name": "laptop", "revoked": true}, true},
		"elsewhere": {map[string]any{"id": id, "site": other, "name": "laptop"}, true},
		"another":   {map[string]any{"id": id, "site": site, "name": "phone"}, true},
	} {
		dir, asked := signedIn(t, map[string]any{
			"GET /me": map[string]any{"id": user, "name": "ana"}, "GET /devices": page(tc.device),
			"GET /sites": page(map[string]any{"id": site, "name": "home"}),
		})
		_, err := run(t, dir, "", "enroll", "--new", "laptop", "--keyring", "off")
		made := strings.Contains(strings.Join(*asked, "\n"), "POST /devices")
		if err == nil || made != tc.made {
			t.Errorf("%s: %v; asked %q", name, err, *asked)
		}
		if want := "`ownline devices rotate " + shortID(id) + " --no-qr | ownline enroll - --name home --replace`"; !made && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Who is told nothing knows that it was a profile that was expected, and not a password.
func TestEnrollNothing(t *testing.T) {
	dir := t.TempDir()
	_, err := run(t, dir, "", "enroll", "-")
	if err == nil || !strings.Contains(err.Error(), "profile: none came on standard input") || strings.Contains(err.Error(), "password") {
		t.Error(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

// Of two of one name the short ID says which, and the error says so.
func TestSeveral(t *testing.T) {
	ids := []string{ownline.NewID[ownline.Device]().String(), ownline.NewID[ownline.Device]().String()}
	pick := func(given string) (string, error) {
		return one("device", given, ids, func(s string) string { return s }, func(s string) []string { return []string{"laptop", shortID(s)} })
	}
	if _, err := pick("laptop"); err == nil || !strings.Contains(err.Error(), "the short one of the list") {
		t.Error(err)
	}
	if got, err := pick(shortID(ids[1])); err != nil || got != ids[1] {
		t.Errorf("got %s, %v", got, err)
	}
}
