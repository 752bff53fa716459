//go:build !noproxy

package doctor

import (
	"context"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

var (
	answering = words{check: "targets", level: Good, text: "The hosts of services that are open answer this router."}
	refuses   = words{"targets", Warning, "%[1]q, %[2]s, refuses connections of this router: nothing listens there.", "", "start the service there, or correct its address and port in Ownline"}
	silent    = words{"targets", Warning, "%[1]q, %[2]s, does not answer this router.", "", "see that it is switched on, has this address, and that its own firewall lets the router in"}
)

// targets tells of services that do not answer this router itself.
func (l *looking) targets(ctx context.Context) {
	if l.Reach == nil {
		return
	}
	failures := l.Reach.Targets(ctx, l.sessions)
	if ctx.Err() != nil {
		return // nobody waited for them
	}
	n, some := len(l.found), false
	for i := range l.sessions {
		s := &l.sessions[i]
		if s.Kind != ownline.Forward || same(l.sessions, i) != i { // each target is told of once
			continue
		}
		some = true
		switch failures[i] {
		case "":
		case link.ReachRefused:
			l.say(&refuses, s.Service, s.Target)
		default:
			l.say(&silent, s.Service, s.Target)
		}
	}
	if some && len(l.found) == n {
		l.say(&answering)
	}
}
