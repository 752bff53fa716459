//go:build !noproxy

package core

import (
	"context"
	"log/slog"

	"github.com/ownline/ownline/internal/core/firewall/firewalld"
	"github.com/ownline/ownline/internal/core/firewall/iptables"
)

// openFirewalld takes over nftables' table as it is: it is the same one, with other rules.
func openFirewalld(ctx context.Context, log *slog.Logger) (*heir, error) {
	left := iptables.Left(ctx, iptables.Config{}, "")
	d, err := firewalld.New(ctx, firewalld.Config{Logger: log, UseMark: left})
	if err != nil {
		return nil, err
	}
	return &heir{kernel: d, log: log, left: left, clear: func(ctx context.Context) error {
		_, err := iptables.Remove(ctx, iptables.Config{}, "")
		return err
	}}, nil
}

func firewalldRuns(ctx context.Context) bool { return firewalld.Runs(ctx, firewalld.Config{}) }

func firewalldLeft(ctx context.Context) bool { return firewalld.Left(ctx, firewalld.Config{}) }

// leaving takes firewalld's rules away before another driver writes the table that holds them in check.
func leaving(left bool) func(context.Context) error {
	if !left {
		return nil
	}
	return func(ctx context.Context) error { return firewalld.Remove(ctx, firewalld.Config{}) }
}
