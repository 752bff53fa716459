package core

import (
	"context"
	"log/slog"
	"net/netip"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/core/doctor"
	"github.com/ownline/ownline/internal/core/firewall/hostinfo"
	"github.com/ownline/ownline/internal/core/firewall/hostrules"
	"github.com/ownline/ownline/internal/core/firewall/iptables"
	"github.com/ownline/ownline/internal/core/trustclock"
)

// daemon is the core that runs, as the doctor asks it.
type daemon struct{ *Control }

// Knocked implements doctor.Daemon.
func (d daemon) Knocked(ctx context.Context, from netip.Addr) bool {
	e, _ := d.Explain(ctx, from, "") // what can't be asked is not known
	for i := range e.Knocks {
		if !e.Knocks[i].Device.IsZero() {
			return true
		}
	}
	return false
}

// hostRules reads those of nftables and of both kinds of iptables.
func hostRules(ctx context.Context) (doctor.Rules, error) {
	rules, err := hostrules.Read()
	if err != nil {
		return nil, err
	}
	saved, err := iptables.Legacy(ctx, iptables.Config{})
	for i, text := range saved {
		rules.Legacy(i == 1, text)
	}
	return rules, err
}

// router is the one that this runs on, as the doctor and explain see it. file is that of the settings.
func router(ctx context.Context, cfg *config.Core, file string) (*doctor.Router, error) {
	host, err := hostinfo.Read(cfg.Firewall.WANInterfaces)
	if err != nil {
		return nil, err
	}
	uplinks, err := hostinfo.Uplinks()
	return &doctor.Router{
		Config: cfg, File: file, Rules: hostRules, UFW: iptables.UFWActive(ctx, iptables.Config{}), Host: host, Uplinks: uplinks, Root: "/",
		Route: hostinfo.Route,
	}, err
}

// Doctor looks at the router that it runs on. file is that of the settings; lacks is what the machine
// lacks of them. With probe, it has packets go through a copy of the router.
func Doctor(ctx context.Context, cfg *config.Core, file string, lacks error, probe bool) ([]doctor.Finding, error) {
	r, err := router(ctx, cfg, file)
	if err != nil {
		return nil, err
	}
	r.Lacks, r.Daemon, r.Ports = lacks, daemon{NewControl(cfg.ControlSocket)}, (&Core{cfg: *cfg}).ownPorts()
	r.Driver = func(ctx context.Context) error {
		d, _, err := openFirewall(ctx, cfg.Firewall.Driver, slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		return d.Close()
	}
	r.Reach = answers
	r.Synced = func() bool { _, from := trustclock.New().Now(); return from == trustclock.System }
	if probe {
		r.Probe = newProbe()
	}
	return r.Look(ctx), nil
}
