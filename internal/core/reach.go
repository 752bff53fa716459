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
func (c commands) Reach(_ context.Context, target netip.AddrPort) (link.Reached, error) {
	return reach(target, c.host.inside)
}

var errNotInside = ownline.Invalid("target", "is in none of the router's local networks")

// reach tries only what a service may lead to.
func reach(target netip.AddrPort, inside func(netip.Addr) bool) (r link.Reached, err error) {
	if target.Port() == 0 || !inside(target.Addr()) {
		return r, errNotInside
	}
	began := time.Now()
	conn, err := net.DialTimeout("tcp", target.String(), reachPatience)
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
	return r, nil
}

var _ link.Reacher = commands{}
