//go:build !noproxy

package core

import (
	"context"
	"fmt"
	"net/netip"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/core/proxy/caddy"
	"github.com/ownline/ownline/internal/core/proxy/gate"
	"github.com/ownline/ownline/internal/core/proxy/nginx"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// driver is one that can be closed when it never ran.
type driver interface {
	proxy.Driver
	Close() error
}

// connect makes a driver of another server.
type connect func(config.Core, []netip.AddrPort) error

// openGate makes the gate that other servers ask.
func (n *names) openGate(p config.Proxy, state string, listen []netip.AddrPort, admit proxy.Admission) error {
	usual := map[string]string{ownline.NginxProxy: "www-data", ownline.CaddyProxy: "caddy"}
	gid, err := groupID(p.GateGroup, usual[p.Driver])
	if err != nil {
		return ownline.Invalid("proxy.gate_group", err.Error())
	}
	word := ""
	if p.Driver == ownline.CaddyProxy { // nginx would pass it on
		if word, err = gate.Word(filepath.Join(state, "proxy", "gate-word")); err != nil {
			return fmt.Errorf("proxy.gate_socket: %w", err)
		}
	}
	if n.gate, err = gate.New(gate.Config{Socket: p.GateSocket, GID: gid, Word: word, Badges: badgesFolder(p.GateSocket), Listen: listen, Admit: admit, Logins: n.logins, Logger: n.log}); err != nil {
		return fmt.Errorf("proxy.%w", err)
	}
	return nil
}

// badgesFolder is beside the gate's socket: "/run/x.sock" has "/run/x-badges".
func badgesFolder(socket string) string { return strings.TrimSuffix(socket, ".sock") + "-badges" }

func (n *names) caddy(cfg config.Core, listen []netip.AddrPort) error {
	d, err := caddy.New(caddy.Config{
		Settings: n.settings, Listen: listen, Certificates: n.certs, Admin: cfg.Proxy.Caddy.Admin,
		Socket: cfg.Proxy.GateSocket, Word: n.gate.Word, Badges: n.gate.Badges, Gate: n.gate, Logger: n.log,
	})
	if err != nil {
		return err
	}
	n.driver, n.check, n.failed = d, d.Check, d.Err
	return nil
}

func (n *names) nginx(cfg config.Core, listen []netip.AddrPort) error {
	p := cfg.Proxy
	d, err := nginx.New(nginx.Config{
		Settings: n.settings, Listen: listen, Certificates: n.certs, Directory: p.Nginx.Directory, Program: p.Nginx.Program,
		File: p.Nginx.Config, Reload: p.Nginx.Reload, Templates: p.Nginx.Templates, StateDir: filepath.Join(cfg.StateDir, "proxy", "nginx"),
		Socket: p.GateSocket, Badges: n.gate.Badges, Gate: n.gate, Logger: n.log,
	})
	if err != nil {
		return err
	}
	n.driver, n.check, n.failed = d, d.Check, d.Err
	return nil
}

// groupID returns -1 when none is named and the usual one is not there.
func groupID(name, usual string) (int, error) {
	lookup := name
	if name == "" {
		lookup = usual
	}
	g, err := user.LookupGroup(lookup)
	if err != nil {
		if name == "" {
			return -1, nil
		}
		return 0, err
	}
	return strconv.Atoi(g.Gid)
}

// serves tells why the driver can't serve a service, nil when it can.
func (n *names) serves(s link.Service) error {
	if s.Options.Template != "" && n.name != ownline.NginxProxy {
		return ownline.Invalid("options.template", "is for routers whose proxy.driver is nginx; this one's is "+n.name+": remove the template")
	}
	return n.check(s)
}

// preview returns what the proxy's configuration would have for a service.
func (n *names) preview(ctx context.Context, s link.Service, inside []netip.Prefix) (string, error) {
	if n == nil {
		return "", errNoConfiguration
	}
	d, ok := n.driver.(previewer)
	if !ok {
		return "", errNoConfiguration
	}
	if _, err := proxy.Good([]link.Service{s}, inside); err != nil {
		return "", err
	}
	if err := n.serves(s); err != nil {
		return "", err
	}
	return d.Preview(ctx, s)
}

// previewer is a driver that writes the configuration of another program.
type previewer interface {
	Preview(context.Context, link.Service) (string, error)
}
