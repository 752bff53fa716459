//go:build !noproxy

package core

import (
	"context"
	"net/netip"

	"github.com/ownline/ownline/internal/core/doctor"
	"github.com/ownline/ownline/internal/core/firewall/iptables"
	"github.com/ownline/ownline/internal/core/firewall/twin"
	"github.com/ownline/ownline/internal/ownline"
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

// answers tries the target of a session, which is inside; what fails is as link.Reached has it.
func answers(t ownline.Transport, at netip.AddrPort) string {
	if t == ownline.UDP {
		return absent(at.Addr())
	}
	r, _ := reach(at, func(netip.Addr) bool { return true }) // but for no port, which no session has
	return r.Failure
}
