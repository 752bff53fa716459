//go:build noproxy

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The build for small routers says what it was built without.
func TestCheckNoProxy(t *testing.T) {
	config := filepath.Join(t.TempDir(), "core.yaml")
	for text, want := range map[string]string{
		"": "", "ports: {open: off, knock: true}\n": "",
		"ports: {open: auto}\n": "ports.open: this ownline-core was built without it; leave it out, or use the full build",
		"proxy: {domain: home.example.org, certificate: {internal: true}}\n": "proxy.domain: this ownline-core was built without the reverse proxy",
	} {
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, said bytes.Buffer
		if code := run(t.Context(), []string{"run", "--check", "--config", config}, &out, &said); (code == exitDone) != (want == "") || !strings.Contains(said.String(), want) {
			t.Errorf("%q: exit code %d, %s", text, code, &said)
		}
	}
}
