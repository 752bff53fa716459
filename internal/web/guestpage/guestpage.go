// Package guestpage is the page that an invitation's link leads to: served here, or exported
// for another web host, from where guests redeem through a broker. Without a build it is a
// page that says so.
package guestpage

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

//go:embed all:dist*
var built embed.FS

// Path is where Handler is to be served.
const Path = "/i/"

const (
	index      = "index.html"
	configFile = "config.json"
)

// Config is how the page finds whoever decides. It is public.
type Config struct {
	Way       string   `json:"way"` // "api" or "mqtt"
	Broker    string   `json:"broker,omitempty"`
	Topic     string   `json:"topic,omitempty"`
	Username  string   `json:"username,omitempty"`
	Password  string   `json:"password,omitempty"`
	Addresses []string `json:"addresses,omitempty"`
}

// policy is the page's content security policy: nothing inline, and connections only to where
// it has to ask.
func policy(connect ...string) string {
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src " + strings.Join(append([]string{"'self'"}, connect...), " ") +
		"; base-uri 'none'; form-action 'none'"
}

func files() (fs.FS, error) {
	root, err := fs.Sub(built, "dist")
	if err != nil {
		return nil, err
	}
	if _, err := fs.Stat(root, index); err != nil {
		return fs.Sub(built, "dist-missing")
	}
	return root, nil
}

// Handler serves the page below Path, for guests who can reach us.
func Handler() (http.Handler, error) {
	root, err := files()
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy()+"; frame-ancestors 'none'")
		if r.Method != http.MethodGet && r.Method != http.MethodHead { // a GET never redeems
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		name := strings.TrimPrefix(r.URL.Path, Path)
		h.Set("Cache-Control", "no-cache")
		if name == configFile {
			h.Set("Content-Type", kinds[".json"])
			_ = json.NewEncoder(w).Encode(Config{Way: "api"}) // a client that went away needs no answer
			return
		}
		if name == "" {
			name = index
		}
		content, err := fs.ReadFile(root, name)
		kind, known := kinds[path.Ext(name)]
		if err != nil || !known {
			h.Set("Cache-Control", "no-store")
			http.Error(w, "not found", http.StatusNotFound)
			return
		}
		if strings.HasPrefix(name, "assets/") { // named after their content
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		h.Set("Content-Type", kind)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}), nil
}

// kinds are the media types of all files that there are.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".svg":  "image/svg+xml",
	".json": "application/json",
}

// Export writes the page into a folder for another web host, which it makes. An
// earlier export is replaced; a folder that holds anything else is refused. It returns the names of the files.
func Export(dir string, c Config) ([]string, error) {
	c.Way = "mqtt"
	switch {
	case c.Broker == "":
		return nil, ownline.Invalid("guest_page.broker", "is needed: where guests' browsers reach the broker, like wss://broker.example.org/mqtt")
	case len(c.Addresses) == 0:
		return nil, ownline.Invalid("guest_page.address_urls", "is needed: a service that answers with the caller's public address, as text")
	}
	root, err := files()
	if err != nil {
		return nil, err
	}
	if _, err := fs.Stat(root, "assets"); err != nil {
		return nil, fmt.Errorf("this ownline-web was built without its pages: run make build")
	}
	connect := []string{origin(c.Broker)}
	for _, a := range c.Addresses {
		connect = append(connect, origin(a))
	}
	config, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{configFile: append(config, '\n')}
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(root, name)
		if name == index {
			// The web host may not be ours to configure: the policy travels in the page.
			meta := `<meta http-equiv="Content-Security-Policy" content="` + html.EscapeString(policy(connect...)) + `">`
			content = bytes.Replace(content, []byte("<head>"), []byte("<head>\n    "+meta), 1)
		}
		out[name] = content
		return err
	})
	if err != nil {
		return nil, err
	}
	names := slices.Sorted(maps.Keys(out))
	if err := onlyOurs(dir, names); err != nil {
		return nil, err
	}
	for _, name := range names {
		to := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(to, out[name], 0o644); err != nil { // everybody's to read: that is its purpose
			return nil, err
		}
	}
	return names, nil
}

// onlyOurs refuses a folder that holds what is not of the page; an older page's assets are.
func onlyOurs(dir string, names []string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if !slices.ContainsFunc(names, func(n string) bool { return n == e.Name() || strings.HasPrefix(n, e.Name()+"/") }) {
			return ownline.Invalid("folder", fmt.Sprintf("%s holds %s, which is not of the page for guests; name a folder that is empty or not there", dir, e.Name()))
		}
	}
	return err
}

// origin is the part of a URL that a policy allows connections to.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "'none'" // the configuration has read it
	}
	return u.Scheme + "://" + u.Host
}
