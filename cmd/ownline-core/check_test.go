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

// What this machine lacks is told by a check, with the place in the file, all at once.
func TestCheckMachine(t *testing.T) {
	dir := t.TempDir()
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "core.yaml")
	for text, want := range map[string][]string{
		"driver: nginx\n  certificate: {internal: true}\n  gate_socket: " + open + "/gate\n  gate_group: nosuchgroup\n  nginx: {program: /no/nginx, config: /no/conf, reload: [/no/reload, x]}": {
			file + ":5:16: proxy.gate_socket: others than root may write in " + open, file + `:6:15: proxy.gate_group: there is no group "nosuchgroup"`,
			file + `:7:20: proxy.nginx.program: "/no/nginx" can't be run`, file + ":7:39: proxy.nginx.config: open /no/conf", file + `:7:58: proxy.nginx.reload[0]: "/no/reload"`,
		},
		"certificate: {file: /no/cert, key_file: /no/key}":                 {file + ":3:23: proxy.certificate.file: open /no/cert"},
		"certificate: {acme: {challenge: dns-01, hook: [/no/hook, more]}}": {file + `:3:50: proxy.certificate.acme.hook[0]: "/no/hook" can't be run`},
	} {
		if err := os.WriteFile(file, []byte("proxy:\n  domain: home.example.org\n  "+text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, said bytes.Buffer
		code := run(t.Context(), []string{"run", "--check", "--config", file}, &out, &said)
		for _, line := range want {
			if code == exitDone || !strings.Contains(said.String(), line) {
				t.Errorf("exit code %d, %s\nwant %s", code, &said, line)
			}
		}
	}
}
