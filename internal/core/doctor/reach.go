package doctor

import (
	"context"
	"net/netip"

	"golang.org/x/sync/errgroup"

	"github.com/ownline/ownline/internal/core/session"
	"github.com/ownline/ownline/internal/ownline"
)

// Reach tries a target from here, and says what fails, as link.Reached has it.
type Reach func(context.Context, ownline.Transport, netip.AddrPort) string

// mostAtOnce is how many targets are tried at a time: a silent one takes its time, and each a socket.
const mostAtOnce = 64

// Targets tries what sessions lead to, each once, and returns what fails of it, in their order; "": nothing does. Of proxied
// services the router itself is the target, which is not tried.
func (r Reach) Targets(ctx context.Context, sessions []session.Session) []string {
	failures := make([]string, len(sessions))
	var g errgroup.Group
	g.SetLimit(mostAtOnce)
	for i := range sessions {
		if s := &sessions[i]; s.Kind == ownline.Forward && same(sessions, i) == i {
			g.Go(func() error {
				failures[i] = r(ctx, s.Transport, s.Target)
				return nil
			})
		}
	}
	_ = g.Wait() // none fails
	for i := range failures {
		failures[i] = failures[same(sessions, i)]
	}
	return failures
}

// same returns the first session that leads to where another does, which may be itself.
func same(sessions []session.Session, of int) (i int) {
	for s := &sessions[of]; sessions[i].Transport != s.Transport || sessions[i].Target != s.Target || sessions[i].Kind != s.Kind; {
		i++
	}
	return i
}
