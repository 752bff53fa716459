package core

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// reachPatience is how long a target in the LAN may take to answer.
const reachPatience = 3 * time.Second

// Reach implements link.Reacher.
func (c commands) Reach(ctx context.Context, target netip.AddrPort) (link.Reached, error) {
	if target.Port() == 0 || !c.host.inside(target.Addr()) { // only what a service may lead to is tried
		return link.Reached{}, errNotInside
	}
	return reach(ctx, target)
}

var errNotInside = ownline.Invalid("target", "is in none of the router's local networks")

// reach tries a target that is inside. An error says that nobody waits for it any more.
func reach(ctx context.Context, target netip.AddrPort) (r link.Reached, err error) {
	began := time.Now()
	conn, err := (&net.Dialer{Timeout: reachPatience}).DialContext(ctx, "tcp", target.String())
	r.Took = time.Since(began)
	switch {
	case err == nil:
		conn.Close()
	case errors.Is(err, syscall.ECONNREFUSED):
		r.Failure = link.ReachRefused
	case os.IsTimeout(err):
		r.Failure = link.ReachSilent
	default:
		r.Failure = link.ReachNoRoute
	}
	return r, ctx.Err()
}

// answers tries the target of a session, which is inside, and says what fails, as link.Reached has it: by TCP at its port,
// by UDP whether its host is there at all.
func answers(ctx context.Context, t ownline.Transport, at netip.AddrPort) string {
	if t == ownline.UDP {
		return absent(ctx, at.Addr())
	}
	r, _ := reach(ctx, at) // who does not wait any more learns nothing
	return r.Failure
}

var _ link.Reacher = commands{}
