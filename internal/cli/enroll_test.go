package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
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

// A try that was killed between the device and its profile is taken up by the next one, which makes
// no second device; nobody else's device is, nor one that has knocked, nor one whose profile is here.
func TestEnrollNewCutShort(t *testing.T) {
	site, id, user := ownline.NewID[ownline.Site](), ownline.NewID[ownline.Device](), ownline.NewID[ownline.User]().String()
	p := ownline.Profile{Host: "home.example.org", Port: 54754, Site: site, Device: id, Key: bytes.Repeat([]byte{7}, ownline.SecretSize), Name: "home"}
	device := map[string]any{"id": id.String(), "site": site.String(), "name": "laptop", "profile": p.URI()}
	for name, tc := range map[string]struct {
		before any
		knocks bool
		taken  bool
	}{
		"cut short":        {try{site.String(), "laptop"}, false, true},
		"no try":           {nil, false, false},
		"of another name":  {try{site.String(), "phone"}, false, false},
		"elsewhere":        {try{ownline.NewID[ownline.Site]().String(), "laptop"}, false, false},
		"it has knocked":   {try{site.String(), "laptop"}, true, false},
		"its profile here": {try{site.String(), "laptop"}, false, false},
	} {
		there := maps.Clone(device)
		if tc.knocks {
			there["last_knock"] = "2030-01-02T03:04:05Z"
		}
		dir, asked := signedIn(t, map[string]any{
			"GET /me": map[string]any{"id": user, "name": "ana"}, "GET /devices": page(there),
			"GET /sites": page(map[string]any{"id": site.String(), "name": "home"}), "POST /devices/" + id.String() + "/rotate": device,
		})
		a := &app{dir: dir}
		if tc.before != nil {
			if err := writeJSON(a.tryFile(), tc.before); err != nil {
				t.Fatal(err)
			}
		}
		args := []string{"enroll", "--new", "laptop", "--keyring", "off"}
		if name == "its profile here" {
			if _, err := run(t, dir, "", "enroll", p.URI(), "--keyring", "off", "--name", "other"); err != nil {
				t.Fatal(err)
			}
		}
		out, err := run(t, dir, "", args...)
		if (err == nil) != tc.taken || strings.Contains(strings.Join(*asked, "\n"), "POST /devices\n") {
			t.Errorf("%s: %v; asked %q", name, err, *asked)
		}
		if !tc.taken {
			continue
		}
		if _, err := os.Stat(a.tryFile()); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(out, "Taking over the device laptop") {
			t.Errorf("%s: %v: %s", name, err, out)
		}
		if got, err := a.profileStore().Load("home"); err != nil || got.Device != id {
			t.Errorf("%s: kept %v, %v", name, got.Device, err)
		}
	}
	// The try is written down before the server is asked, and stays when no answer comes.
	dir, _ := signedIn(t, map[string]any{
		"GET /me": map[string]any{"id": user, "name": "ana"}, "GET /devices": page(), "GET /sites": page(map[string]any{"id": site.String(), "name": "home"}),
	})
	if _, err := run(t, dir, "", "enroll", "--new", "laptop", "--keyring", "off"); err == nil {
		t.Error("enrolled without an answer")
	}
	var now try
	if err := readJSON((&app{dir: dir}).tryFile(), &now); err != nil || now != (try{site.String(), "laptop"}) {
		t.Errorf("written down is %+v, %v", now, err)
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
