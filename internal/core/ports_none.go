//go:build noproxy

package core

import (
	"context"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// ports asks no router: this core was built for one that nothing is in front of.
type ports struct{}

func checkPorts(cfg config.Core) error {
	if cfg.Ports.Open != ownline.NoPorts {
		return ownline.Invalid("ports.open", "this ownline-core was built without it; leave it out, or use the full build")
	}
	return nil
}

func (*Core) newPorts() (*ports, error) { return nil, nil }

func (*ports) wake() {}

func (*ports) wait(context.Context) {}

func (*ports) status() *link.Ports { return nil }

// Run does nothing.
func (*ports) Run(context.Context) error { return nil }
