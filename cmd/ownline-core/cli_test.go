package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestCommandLine(t *testing.T) {
	config := filepath.Join(t.TempDir(), "core.yaml")
	if err := os.WriteFile(config, []byte("control_socket: "+filepath.Join(t.TempDir(), "nobody")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		args         string
		code         int
		stdout, says string
	}{
		"no command":           {"", exitUsage, "", "Commands:"},
		"help":                 {"--help", exitDone, "ownline-core pair", ""},
		"help of a command":    {"pair --help", exitDone, "Good once|good once", ""},
		"help, the other way":  {"help pair", exitDone, "--host address", ""},
		"unknown command":      {"open", exitUsage, "", `no command "open"`},
		"unknown flag":         {"status --color", exitUsage, "", "color"},
		"too many arguments":   {"status now", exitUsage, "", "now"},
		"no such file":         {"status --config /nowhere/core.yaml", exitFailed, "", "/nowhere/core.yaml"},
		"nobody answers":       {"status --config " + config, exitFailed, "", "ownline-core run"},
		"flags before":         {"--json version", exitDone, `"version"`, ""},
		"flags behind":         {"version --json", exitDone, `"version"`, ""},
		"flags between":        {"explain 198.51.100.7 --config " + config + " nas", exitFailed, "", "ownline-core run"},
		"no address":           {"explain nas", exitUsage, "", `"nas" is no address`},
		"nothing to explain":   {"explain", exitUsage, "", "give an address"},
		"assent to nothing":    {"doctor --yes", exitUsage, "", "--yes is for --fix"},
		"doctor, no settings":  {"doctor --config /nowhere/core.yaml", exitFailed, "", "/nowhere/core.yaml"},
		"doctor, what it does": {"doctor --help", exitDone, "99-ownline.conf", ""},
		"unknown shell":        {"completion tcsh", exitUsage, "", "tcsh"},
		"no shell":             {"completion", exitUsage, "", "bash, zsh or fish"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, said bytes.Buffer
			if code := run(t.Context(), strings.Fields(tc.args), &out, &said); code != tc.code {
				t.Errorf("exit code %d, want %d: %s", code, tc.code, &said)
			}
			found := false
			for want := range strings.SplitSeq(tc.stdout, "|") {
				found = found || strings.Contains(out.String(), want)
			}
			if !found || !strings.Contains(said.String(), tc.says) {
				t.Errorf("printed %q and said %q", &out, &said)
			}
		})
	}
}

// Shells accept the scripts, as far as they are here.
func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		var out bytes.Buffer
		if code := run(t.Context(), []string{"completion", shell}, &out, os.Stderr); code != exitDone || !strings.Contains(out.String(), "flush") {
			t.Errorf("%s: exit code %d, %d bytes", shell, code, out.Len())
		}
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		check := exec.Command(path, "-n")
		check.Stdin = &out
		if said, err := check.CombinedOutput(); err != nil {
			t.Errorf("%s does not accept its script: %v: %s", shell, err, said)
		}
	}
}
