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

// What it was built without is offered nowhere, and whoever asks for it is told where it is.
func TestNoProbe(t *testing.T) {
	as(t, 0)
	for args, want := range map[string]string{
		"doctor --probe":        "this ownline-core was built without --probe; leave it out, or use the full build",
		"doctor --probe --json": "use the full build",
		"doctor --probe=x":      "invalid boolean value",
		"doctor --help":         "--fix",
		"completion bash":       "--fix",
		"completion fish":       "-l fix",
	} {
		var out, said bytes.Buffer
		code := run(t.Context(), strings.Fields(args), &out, &said)
		if offers := strings.Contains(out.String(), "probe"); offers || !strings.Contains(out.String()+said.String(), want) || (code == exitUsage) != strings.Contains(args, "probe") {
			t.Errorf("%s: exit code %d, offered %v\n%s%s", args, code, offers, &out, &said)
		}
	}
}
