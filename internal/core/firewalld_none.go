//go:build noproxy

package core

import (
	"context"
	"log/slog"

	"github.com/ownline/ownline/internal/ownline"
)

func openFirewalld(context.Context, *slog.Logger) (*heir, error) {
	return nil, ownline.Invalid("firewall.driver", "this ownline-core was built without firewalld; choose nftables, or use the full build")
}

func firewalldRuns(context.Context) bool { return false }

func firewalldLeft(context.Context) bool { return false }

func leaving(bool) func(context.Context) error { return nil }
