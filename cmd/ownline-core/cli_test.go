package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/core"
	"github.com/ownline/ownline/internal/core/doctor"
)

func TestCommandLine(t *testing.T) {
	as(t, 0)
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
		"doctor, no settings":  {"doctor --config /nowhere/core.yaml", exitFailed, "/nowhere/core.yaml", "problems found: 1"},
		"doctor, what it does": {"doctor --help", exitDone, "99-zz-ownline.conf", ""},
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

// as has the doctor take itself for a process of uid.
func as(t *testing.T, uid int) {
	t.Helper()
	mine := euid
	euid = func() int { return uid }
	t.Cleanup(func() { euid = mine })
}

// Who may not look is told so, and nothing else, which would be guesses. Programs can read it.
func TestDoctorNeedsRoot(t *testing.T) {
	as(t, 1000)
	for _, args := range []string{"doctor --config /nowhere/core.yaml", "doctor --fix --yes"} {
		only(t, args, "rights", "run it as root")
	}
}

// Settings that can't be followed are a finding like any other.
func TestDoctorOfBadSettings(t *testing.T) {
	as(t, 0)
	file := filepath.Join(t.TempDir(), "core.yaml")
	if err := os.WriteFile(file, []byte("firewall: {driver: nft}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"doctor --config " + file, "doctor --fix --yes --config " + file} {
		only(t, args, "settings", file+`:1:20: firewall.driver: "nft" is not one of`)
	}
}

// only has the doctor print one finding, a problem, to people and to programs.
func only(t *testing.T, args, check, says string) {
	t.Helper()
	var out, said bytes.Buffer
	if code := run(t.Context(), strings.Fields(args), &out, &said); code != exitFailed || strings.Count(out.String(), "✗") != 1 || !strings.HasPrefix(out.String(), "✗ ") || !strings.Contains(out.String(), says) {
		t.Errorf("%s: exit code %d, printed %q and said %q", args, code, &out, &said)
	}
	out.Reset()
	said.Reset()
	var all struct{ Findings, Mended []doctor.Finding }
	code := run(t.Context(), strings.Fields(args+" --json"), &out, &said)
	err := json.Unmarshal(out.Bytes(), &all)
	if code != exitFailed || err != nil || len(all.Findings) != 1 || all.Mended == nil || len(all.Mended) != 0 {
		t.Fatalf("%s --json: exit code %d, %v, printed %s", args, code, err, &out)
	}
	if want := "ownline-core: doctor: problems found: 1\n"; said.String() != want {
		t.Errorf("%s --json: said %q, want %q", args, &said, want)
	}
	if f := all.Findings[0]; f.Check != check || f.Level != doctor.Problem || !strings.Contains(f.Text, says) {
		t.Errorf("%s --json: %+v", args, f)
	}
}

// What may go wrong does not pass for what is well.
func TestExplanationPrinted(t *testing.T) {
	var out bytes.Buffer
	err := printExplanation(&out, core.Explanation{Findings: []core.Finding{{Problem: true, Text: "One.", Fix: "mend it"}, {Warning: true, Text: "Two."}, {Text: "Three."}}})
	if want := "✗ One.\n  → mend it\n! Two.\n✓ Three.\n"; err != nil || out.String() != want {
		t.Errorf("printed %q, %v", &out, err)
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
