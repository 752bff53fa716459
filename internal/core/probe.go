//go:build !noproxy

package core

import (
	"context"

	"github.com/ownline/ownline/internal/core/doctor"
	"github.com/ownline/ownline/internal/core/firewall/iptables"
	"github.com/ownline/ownline/internal/core/firewall/twin"
)

func newProbe() doctor.Probe {
	return doctor.Probe{Try: func(ctx context.Context, ways []twin.Way) ([]twin.Outcome, error) {
		saved, err := iptables.Legacy(ctx, iptables.Config{})
		if err != nil {
			return nil, err
		}
		return twin.Try(ctx, saved, ways)
	}}
}
