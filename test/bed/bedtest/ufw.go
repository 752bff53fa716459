package bedtest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/test/bed"
)

// UFW is the program of that name on a host, as Debian installs it, with files of its own.
type UFW struct {
	Root string // of its files
	host *bed.Host
	tb   testing.TB
}

// NewUFW makes one that is not enabled and has no rules.
func NewUFW(tb testing.TB, h *bed.Host) *UFW {
	tb.Helper()
	if _, err := exec.LookPath("/usr/sbin/ufw"); err != nil {
		tb.Fatalf("%v: run the tests by make test, which installs it", err)
	}
	u := &UFW{tb.TempDir(), h, tb}
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	for _, dir := range []string{"etc/ufw/applications.d", "etc/default", "lib/ufw", "run"} {
		must(os.MkdirAll(filepath.Join(u.Root, dir), 0o755))
	}
	for to, from := range map[string]string{"etc/ufw": "/usr/share/ufw/*.rules", "etc/ufw/": "/usr/share/ufw/*.conf", "lib/ufw": "/lib/ufw/*"} {
		files, err := filepath.Glob(from)
		must(err)
		for _, f := range files {
			b, err := os.ReadFile(f)
			must(err)
			must(os.WriteFile(filepath.Join(u.Root, to, filepath.Base(f)), b, 0o755))
		}
	}
	u.Default("MANAGE_BUILTINS=no", "IPV6=yes")
	return u
}

// Default writes /etc/default/ufw, with lines for what is not about policies.
func (u *UFW) Default(lines ...string) {
	u.tb.Helper()
	text := strings.Join(lines, "\n") + `
DEFAULT_INPUT_POLICY="DROP"
DEFAULT_OUTPUT_POLICY="ACCEPT"
DEFAULT_FORWARD_POLICY="DROP"
DEFAULT_APPLICATION_POLICY="SKIP"
IPT_SYSCTL=/etc/ufw/sysctl.conf
IPT_MODULES=""
`
	if err := os.WriteFile(filepath.Join(u.Root, "etc/default/ufw"), []byte(text), 0o644); err != nil {
		u.tb.Fatal(err)
	}
}

// Tell has it do what words say, as its admin would, and returns what it prints.
func (u *UFW) Tell(words string) string {
	u.tb.Helper()
	out, err := u.Told(words)
	if err != nil {
		u.tb.Fatalf("ufw %s: %v: %s", words, err, out)
	}
	return out
}

// Told is Tell that may fail.
func (u *UFW) Told(words string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	args := append([]string{"/usr/sbin/ufw", "--rootdir=" + u.Root, "--datadir=" + u.Root}, strings.Fields(words)...)
	cmd := u.host.Command(ctx, "/usr/bin/python3", args...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	err := u.host.Run(cmd)
	return out.String(), err
}

// Rules are those that its admin made, as its files have them.
func (u *UFW) Rules() string {
	u.tb.Helper()
	files, err := filepath.Glob(filepath.Join(u.Root, "etc/ufw/*.rules"))
	if err != nil {
		u.tb.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			u.tb.Fatal(err)
		}
		all.WriteString(filepath.Base(f) + "\n" + string(b))
	}
	return all.String()
}
