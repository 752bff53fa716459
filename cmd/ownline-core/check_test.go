//go:build !http3 && !noproxy

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What this build can't do is told by a check of the settings, not only when it runs.
func TestCheckBuild(t *testing.T) {
	config := filepath.Join(t.TempDir(), "core.yaml")
	for extra, want := range map[string]int{"": exitDone, ", http3: true": exitFailed} {
		if err := os.WriteFile(config, []byte("proxy: {domain: home.example.org, certificate: {internal: true}"+extra+"}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, said bytes.Buffer
		code := run(t.Context(), []string{"run", "--check", "--config", config}, &out, &said)
		if code != want || want != exitDone && (!strings.Contains(said.String(), "proxy.http3") || !strings.Contains(said.String(), "make http3")) {
			t.Errorf("%q: exit code %d, %s", extra, code, &said)
		}
	}
}
