package app

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	_ "modernc.org/sqlite" // the driver of web's database

	"github.com/ownline/ownline/test/bed"
)

// away does what people do with their machines in the internet.
func (h *house) away(ctx context.Context, what string, host *bed.Host, text string) (any, error) {
	switch what {
	case "enrol": // takes a profile from a picture of its QR code: the file
		_, err := h.ownline(ctx, host, "enroll", "--qr", text, "--name", "home", "--keyring", "off", "--replace")
		return nil, err
	case "knock": // once, and tells whether Ownline answers
		said, err := h.ownline(ctx, host, "knock", "-4", "--timeout", "2s")
		if strings.Contains(said, "no answer from ") {
			return false, nil
		}
		return err == nil, err
	case "agent": // "start", or "stop"
		if text == "stop" {
			return nil, h.stopAgent(host)
		}
		return nil, h.startAgent(host)
	case "roam": // the machine has its second address alone: "away"; or its first again: "home"
		return roam(host, text == "home")
	case "carrier": // the machine is behind a carrier's NAT, "on", or no more, "off"
		return h.carrier(host, text == "on")
	}
	return nil, fmt.Errorf("nobody does %q", what)
}

// cli is a command of somebody on a host, which keeps there what it knows.
func (h *house) cli(ctx context.Context, host *bed.Host, args ...string) *exec.Cmd {
	const script = `mount --bind "$0" /etc/hosts && exec "$@"`
	own := []string{"-m", "sh", "-c", script, h.dns, programs.CLI, "--config-dir", h.Path("cli-" + host.Name)}
	return host.Command(ctx, "unshare", append(own, args...)...)
}

// ownline runs one to its end, and returns what it says.
func (h *house) ownline(ctx context.Context, host *bed.Host, args ...string) (string, error) {
	cmd := h.cli(ctx, host, args...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := host.Run(cmd); err != nil {
		return said.String(), fmt.Errorf("ownline %s: %w: %s", args[0], err, said.String())
	}
	return said.String(), nil
}

func (h *house) startAgent(host *bed.Host) error {
	if h.agents[host.Name] != nil {
		return fmt.Errorf("%s has an agent", host.Name)
	}
	said, err := os.Create(filepath.Join(h.Path("cli-"+host.Name), "said"))
	if err != nil {
		return err
	}
	defer said.Close()
	cmd := h.cli(context.Background(), host, "agent", "run", "--log-level", "debug") // it ends with the bed
	cmd.Stdout, cmd.Stderr = said, said
	if err := host.Start(cmd); err != nil {
		return err
	}
	h.agents[host.Name] = cmd
	return nil
}

func (h *house) stopAgent(host *bed.Host) error {
	cmd := h.agents[host.Name]
	if cmd == nil {
		return fmt.Errorf("%s has no agent", host.Name)
	}
	delete(h.agents, host.Name)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return cmd.Wait()
}

// roam returns the address that a host has from now on. What it was connected to, it is no more.
func roam(host *bed.Host, home bool) (netip.Addr, error) {
	first, second := netip.PrefixFrom(host.IPv4s[0], 25), netip.PrefixFrom(host.IPv4s[1], 25)
	if !home {
		return second.Addr(), host.DelAddr(host.Link, first)
	}
	for _, do := range []func() error{
		func() error { return host.AddAddr(host.Link, first) },
		func() error { return host.DelAddr(host.Link, second) }, // so that the first is the oldest
		func() error { return host.AddAddr(host.Link, second) },
	} {
		if err := do(); err != nil {
			return netip.Addr{}, err
		}
	}
	return first.Addr(), nil
}

// carrier has a host reach the router from an address that carriers share out (RFC 6598), or no more.
func (h *house) carrier(host *bed.Host, on bool) (netip.Addr, error) {
	gateway, own := netip.MustParseAddr("100.64.0.1"), netip.MustParseAddr("100.64.0.7")
	if !on {
		return host.IPv4, host.DelAddr(host.Link, netip.PrefixFrom(own, 24)) // the route goes with it
	}
	if err := h.Bed.Internet.AddAddr(host.Name, netip.PrefixFrom(gateway, 24)); err != nil {
		return netip.Addr{}, err
	}
	if err := host.AddAddr(host.Link, netip.PrefixFrom(own, 24)); err != nil {
		return netip.Addr{}, err
	}
	return own, host.AddRoute(netip.PrefixFrom(h.Bed.Router.IPv4, 32), gateway)
}

// outlive has an invitation end a minute ago, in web's database: a minute is the least that the API gives.
func (h *house) outlive(ctx context.Context, id string) error {
	db, err := sql.Open("sqlite", "file:"+h.Path("web/ownline.db")+"?_pragma=busy_timeout(20000)")
	if err != nil {
		return err
	}
	defer db.Close()
	done, err := db.ExecContext(ctx, "UPDATE invitations SET expires = ? WHERE id = ?", time.Now().Add(-time.Minute).UnixMilli(), id)
	if err != nil {
		return err
	}
	n, err := done.RowsAffected()
	if err == nil && n != 1 {
		err = fmt.Errorf("there are %d invitations %s", n, id)
	}
	return err
}
