package install

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// at makes a home for a test, with a program in it that has an awkward name.
func at(t *testing.T) Options {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", "")
	runtime := filepath.Join(home, "run")
	if err := os.Mkdir(runtime, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", runtime)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	program := filepath.Join(home, "own line 100%")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return Options{Program: program, Arguments: []string{"agent", "run", "--config-dir", home + `/it's "$HOME" %h \x`}, Dir: filepath.Join(home, ".config/ownline")}
}

func file(o Options) string {
	return filepath.Join(filepath.Dir(o.Program), ".config/systemd/user/ownline-agent.service")
}

// verify has systemd read a unit.
func verify(t *testing.T, file string, more ...string) {
	t.Helper()
	out, err := exec.Command("systemd-analyze", append(append([]string{"verify", "--man=no"}, more...), file)...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// systemctl plays systemd's command: it notes what it is asked, and fails if it is to.
func systemctl(t *testing.T, exit string) (asked func() []string) {
	t.Helper()
	dir := t.TempDir()
	notes := filepath.Join(dir, "asked")
	script := "#!/bin/sh\necho \"$*\" >>" + notes + "\n" + exit + "\n"
	if err := os.WriteFile(filepath.Join(dir, "systemctl"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return func() []string {
		b, _ := os.ReadFile(notes)
		_ = os.Remove(notes)
		return strings.Split(strings.TrimSpace(string(b)), "\n")
	}
}

func TestInstall(t *testing.T) {
	o := at(t)
	asked := systemctl(t, "exit 0")
	r, err := Install(o)
	if err != nil || !r.Done || r.Before || r.File != file(o) {
		t.Fatalf("got %+v, %v", r, err)
	}
	if got := asked(); !slices.Equal(got, []string{"enable --user ownline-agent.service", "daemon-reload --user", "restart --user ownline-agent.service"}) {
		t.Errorf("systemctl was asked %q", got)
	}
	verify(t, r.File, "--user")
	first, err := os.ReadFile(r.File)
	if err != nil {
		t.Fatal(err)
	}
	want := `ExecStart="` + strings.ReplaceAll(o.Program, "%", "%%") + `" agent run --config-dir "` + filepath.Dir(o.Program) + `/it's \"$$HOME\" %%h \\x"` + "\n"
	if !strings.Contains(string(first), want) {
		t.Errorf("the unit is\n%s\nwithout %s", first, want)
	}
	// Again, the same comes of it; with other arguments, another.
	if r, err := Install(o); err != nil || !r.Done || !r.Before {
		t.Errorf("again: %+v, %v", r, err)
	}
	if again, err := os.ReadFile(r.File); err != nil || string(again) != string(first) {
		t.Errorf("again: %s, %v", again, err)
	}
	o.Arguments = []string{"agent", "run", "--profile", "home"}
	if _, err := Install(o); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(r.File); err != nil || !strings.Contains(string(b), "agent run --profile home\n") || strings.Contains(string(b), "HOME") {
		t.Errorf("with other arguments: %s, %v", b, err)
	}

	asked()
	if r, err = Uninstall(o); err != nil || !r.Done || !r.Before {
		t.Errorf("uninstall: %+v, %v", r, err)
	}
	if got := asked(); !slices.Equal(got, []string{"stop --user ownline-agent.service", "disable --user ownline-agent.service", "daemon-reload --user"}) {
		t.Errorf("systemctl was asked %q", got)
	}
	if _, err := os.Stat(r.File); !os.IsNotExist(err) {
		t.Errorf("left: %v", err)
	}
	if r, err := Uninstall(o); err != nil || r.Before {
		t.Errorf("uninstall again: %+v, %v", r, err)
	}
}

// Where systemd can't be reached the unit is written and removed all the same, and what is left to do is told.
func TestNoBus(t *testing.T) {
	o := at(t)
	systemctl(t, "echo no bus here >&2; exit 1")
	for range 2 {
		r, err := Install(o)
		if err != nil || r.Done || r.Reason != "no bus here" || len(r.Run) != 2 || !strings.Contains(r.Run[1], "enable --now") {
			t.Fatalf("got %+v, %v", r, err)
		}
		verify(t, r.File, "--user")
	}
	wants := filepath.Join(filepath.Dir(file(o)), "default.target.wants")
	if err := os.Mkdir(wants, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file(o), filepath.Join(wants, filepath.Base(file(o)))); err != nil {
		t.Fatal(err)
	}
	r, err := Uninstall(o)
	if err != nil || r.Done || r.Reason != "no bus here" || !slices.Equal(r.Run, []string{"systemctl --user daemon-reload"}) {
		t.Errorf("uninstall: %+v, %v", r, err)
	}
	for _, dir := range []string{filepath.Dir(file(o)), wants} {
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) > 1 || len(entries) == 1 && !entries[0].IsDir() {
			t.Errorf("left in %s: %v, %v", dir, entries, err)
		}
	}
}

// The unit for the whole machine is good as well, and confined.
func TestSystemUnit(t *testing.T) {
	o := at(t)
	o.System = true
	text, err := unit(o)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), name+".service")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	verify(t, file)
	for _, line := range []string{"ProtectSystem=strict", "CapabilityBoundingSet=", "ReadWritePaths=" + o.Dir, "WantedBy=multi-user.target"} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("%s is not in it", line)
		}
	}
}

func TestRefused(t *testing.T) {
	o := at(t)
	systemctl(t, "exit 0")
	o.Arguments = []string{"run\nExecStart=/bin/evil"}
	if _, err := Install(o); err == nil {
		t.Error("an argument brought a line of its own")
	}
	if _, err := os.Stat(file(o)); !os.IsNotExist(err) {
		t.Errorf("left: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := Install(at(t)); err == nil || !strings.Contains(err.Error(), "no systemd") {
		t.Errorf("without systemd: %v", err)
	}
}
