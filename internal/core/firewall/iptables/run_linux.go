package iptables

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// patience is how long a program may take; it waits for others that hold the lock of the tables.
const patience = 20 * time.Second

// folders are where the programs are looked for: a daemon's search path may lack some.
var folders = [...]string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// programs starts the host's programs: with an argument vector and an input, no shell.
type programs struct {
	within func(func() error) error
}

// find returns the path of a program; "" when it is not there.
func find(name string) string {
	for _, f := range folders {
		path := filepath.Join(f, name)
		if i, err := os.Stat(path); err == nil && i.Mode().IsRegular() && i.Mode()&0o111 != 0 {
			return path
		}
	}
	return ""
}

// run returns what a program prints. Its error has what it said.
func (p programs) run(ctx context.Context, input, path string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = []string{"PATH=" + strings.Join(folders[:], ":"), "LC_ALL=C"}
	cmd.Dir = "/"
	cmd.WaitDelay = time.Second
	cmd.Stdin = strings.NewReader(input)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	within := p.within
	if within == nil {
		within = func(f func() error) error { return f() }
	}
	err := within(cmd.Start)
	if err == nil {
		err = cmd.Wait()
	}
	if err == nil {
		return out.String(), nil
	}
	text := strings.TrimSpace(said.String())
	if len(text) > 500 {
		text = text[:500]
	}
	return "", fmt.Errorf("%s: %w: %s", filepath.Base(path), errors.Join(err, ctx.Err()), strings.ReplaceAll(text, "\n", "; "))
}

// sides finds the programs. A host whose kernel has no IPv6 needs none for it.
func sides(variant string) (all []side, err error) {
	word := ""
	if variant != "" {
		word = variant + "-"
	}
	for _, v4 := range []bool{true, false} {
		program := "ip6tables-" + word
		if v4 {
			program = "iptables-" + word
		}
		s := side{v4: v4, save: find(program + "save"), restore: find(program + "restore")}
		if s.save != "" && s.restore != "" {
			all = append(all, s)
			continue
		}
		if _, err := os.Stat("/proc/net/if_inet6"); v4 || err == nil {
			return nil, ownline.Invalid("firewall.driver", fmt.Sprintf("%ssave and %[1]srestore are not installed here; install iptables, or choose nftables", program))
		}
	}
	return all, nil
}

// variant asks which of the two kinds of iptables a program is.
func (p programs) variant(ctx context.Context, s side) (string, error) {
	said, err := p.run(ctx, "", s.restore, "--version")
	if strings.Contains(said, "nf_tables") {
		return nftVariant, err
	}
	return legacyVariant, err
}

const (
	nftVariant    = "nft"
	legacyVariant = "legacy"
)

// ipset has the program of that name do what lines say, without minding what is there already.
func (p programs) ipset(ctx context.Context, lines string) error {
	path := find("ipset")
	if path == "" {
		return errors.New("ipset is not installed")
	}
	_, err := p.run(ctx, lines, path, "-exist", "restore")
	return err
}
