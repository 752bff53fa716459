package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/iptables"
	"github.com/ownline/ownline/internal/core/firewall/nft"
	"github.com/ownline/ownline/internal/core/reconcile"
	"github.com/ownline/ownline/internal/ownline"
)

// kernel is a driver of the firewall.
type kernel interface {
	reconcile.Firewall
	Run(context.Context) error
	Close() error
	KnockCounters(context.Context) (firewall.KnockCounts, error)
	Lacks() error
	Filters() bool
}

// openFirewall makes the driver that is set, and tells its name.
func openFirewall(ctx context.Context, driver string, log *slog.Logger) (*heir, string, error) {
	switch driver {
	case ownline.IPTables:
		h, err := openIPTables(ctx, "", log)
		return h, ownline.IPTables, err
	case ownline.UFW:
		h, err := openIPTables(ctx, "/", log)
		return h, ownline.UFW, err
	case ownline.NFTables:
		h, err := openNFTables(ctx, log)
		return h, ownline.NFTables, err
	case ownline.Firewalld:
		h, err := openFirewalld(ctx, log)
		return h, ownline.Firewalld, err
	}
	if iptables.UFWActive(ctx, iptables.Config{}) {
		h, err := openIPTables(ctx, "/", log)
		if err == nil {
			return h, ownline.UFW, nil
		}
		log.Warn("ufw is active, but Ownline can't be beside it; its rules may drop what sessions let in", "err", err)
	}
	if firewalldRuns(ctx) {
		h, err := openFirewalld(ctx, log)
		if err == nil {
			return h, ownline.Firewalld, nil
		}
		log.Warn("firewalld runs, but Ownline can't have it open sessions; trying without", "err", err)
	}
	h, err := openNFTables(ctx, log)
	if err == nil {
		return h, ownline.NFTables, nil
	}
	log.Info("nftables does not work here; trying iptables", "err", err)
	h, err2 := openIPTables(ctx, "", log)
	if err2 != nil {
		return nil, "", errors.Join(err, err2)
	}
	return h, ownline.IPTables, nil
}

func openNFTables(ctx context.Context, log *slog.Logger) (*heir, error) {
	// Connections that iptables has translated carry a mark and nothing else.
	left := iptables.Left(ctx, iptables.Config{}, "")
	d, err := nft.New(nft.Config{Logger: log, UseMark: left})
	if err != nil {
		return nil, err
	}
	fromFirewalld := firewalldLeft(ctx)
	return &heir{kernel: d, log: log, left: left || fromFirewalld, leave: leaving(fromFirewalld), clear: func(ctx context.Context) error {
		_, err := iptables.Remove(ctx, iptables.Config{}, "")
		return err
	}}, nil
}

// openIPTables is beside ufw, should the root of its files be given.
func openIPTables(ctx context.Context, ufw string, log *slog.Logger) (*heir, error) {
	d, err := iptables.New(ctx, iptables.Config{Logger: log, UFW: ufw})
	if err != nil {
		return nil, err
	}
	fromFirewalld := firewalldLeft(ctx)
	left := fromFirewalld || nft.Left() || iptables.Left(ctx, iptables.Config{}, d.Variant())
	return &heir{kernel: d, log: log, left: left, leave: leaving(fromFirewalld), v4: d.IPv4Only(), clear: func(ctx context.Context) error {
		_, err := nft.Remove()
		_, err2 := iptables.Remove(ctx, iptables.Config{}, d.Variant())
		return errors.Join(err, err2)
	}}, nil
}

// heir is a driver that takes over from another. Until core knows what is wanted, the other's rules are
// left alone, as its own would be: new ones without sessions would cut the connections that are
// there. Then it writes its own, and takes the other's away.
type heir struct {
	kernel
	log   *slog.Logger
	left  bool                        // by another driver; used by whoever may call Sync
	v4    bool                        // it has nothing for IPv6
	leave func(context.Context) error // before its own are there, what only the other's hold in check; may be nil
	clear func(context.Context) error
}

// Sync implements reconcile.Firewall.
func (h *heir) Sync(ctx context.Context, want firewall.Ruleset) error {
	if h.left && want.Adopt {
		return want.Validate()
	}
	if h.leave != nil {
		if err := h.leave(context.WithoutCancel(ctx)); err != nil {
			return fmt.Errorf("take away what firewalld was told: %w", err)
		}
		h.leave = nil
	}
	if err := h.kernel.Sync(ctx, want); err != nil || !h.left {
		return err
	}
	if err := h.clear(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("take away what another firewall driver left: %w", err)
	}
	h.left = false
	h.log.Info("took over from another firewall driver, and removed its rules")
	return h.kernel.Sync(ctx, want) // the host's rules are others now
}
