// Package firewalls: firewalls of Debian's on hosts of a bed, with files of their own, for tests and benches.
package firewalls

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ownline/ownline/test/bed"
)

// UFW is the program of that name on a host, as Debian installs it.
type UFW struct {
	Root string // of its files
	host *bed.Host
}

// need tells which programs are missing.
func need(programs ...string) error {
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%w: make firewalls installs it", err)
		}
	}
	return nil
}

// Variant starts a program where iptables is of that variant, nft or legacy, for it alone; "": whichever the host has.
func Variant(variant string, program ...string) []string {
	other := map[string]string{"nft": "legacy", "legacy": "nft"}[variant]
	if other == "" {
		return program
	}
	multi := func(variant string) string { return "/usr/sbin/xtables-" + variant + "-multi" }
	return append([]string{
		"/usr/bin/unshare", "-m", "/bin/sh", "-c", `mount --bind "$1" "$2" && shift 2 && exec "$@"`, "sh",
		multi(variant), multi(other),
	}, program...)
}

// NewUFW makes one that is not enabled and has no rules, with files in a folder that is there.
func NewUFW(h *bed.Host, root string) (*UFW, error) {
	if err := need("/usr/sbin/ufw"); err != nil {
		return nil, err
	}
	u := &UFW{root, h}
	for _, dir := range []string{"etc/ufw/applications.d", "etc/default", "lib/ufw", "run"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return nil, err
		}
	}
	for to, from := range map[string]string{"etc/ufw": "/usr/share/ufw/*.rules", "etc/ufw/": "/usr/share/ufw/*.conf", "lib/ufw": "/lib/ufw/*"} {
		files, err := filepath.Glob(from)
		for _, f := range files {
			err = errors.Join(err, copyFile(filepath.Join(root, to, filepath.Base(f)), f))
		}
		if err != nil {
			return nil, err
		}
	}
	return u, u.Default("MANAGE_BUILTINS=no", "IPV6=yes")
}

func copyFile(to, from string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o755)
}

// Default writes /etc/default/ufw, with lines for what is not about policies.
func (u *UFW) Default(lines ...string) error {
	text := strings.Join(lines, "\n") + `
DEFAULT_INPUT_POLICY="DROP"
DEFAULT_OUTPUT_POLICY="ACCEPT"
DEFAULT_FORWARD_POLICY="DROP"
DEFAULT_APPLICATION_POLICY="SKIP"
IPT_SYSCTL=/etc/ufw/sysctl.conf
IPT_MODULES=""
`
	return os.WriteFile(filepath.Join(u.Root, "etc/default/ufw"), []byte(text), 0o644)
}

// Tell has it do what words say, as its admin would, and returns what it prints.
func (u *UFW) Tell(words string) (string, error) {
	return tell(u.host, nil, append([]string{"/usr/sbin/ufw", "--rootdir=" + u.Root, "--datadir=" + u.Root}, strings.Fields(words)...))
}

// tell runs a program of Python's, and returns what it prints.
func tell(h *bed.Host, env, args []string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := h.Command(ctx, "/usr/bin/python3", args...)
	cmd.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}, env...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	err := h.Run(cmd)
	return out.String(), err
}

// Rules are those that its admin made, as its files have them.
func (u *UFW) Rules() (string, error) {
	files, err := filepath.Glob(filepath.Join(u.Root, "etc/ufw/*.rules"))
	var all strings.Builder
	for _, f := range files {
		b, rerr := os.ReadFile(f)
		err = errors.Join(err, rerr)
		all.WriteString(filepath.Base(f) + "\n" + string(b))
	}
	return all.String(), err
}
