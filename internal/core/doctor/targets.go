//go:build !noproxy

package doctor

import (
	"net/netip"
	"sync"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

var (
	answering = words{check: "targets", level: Good, text: "The hosts of services that are open answer this router."}
	refuses   = words{"targets", Warning, "%[1]q, %[2]s, refuses connections of this router: nothing listens there.", "", "start the service there, or correct its address and port in Ownline"}
	silent    = words{"targets", Warning, "%[1]q, %[2]s, does not answer this router.", "", "see that it is switched on, has this address, and that its own firewall lets the router in"}
)

// target is one of a session.
type target struct {
	t  ownline.Transport
	at netip.AddrPort
}

// targets tells of services that do not answer this router itself. It tries all at once: a silent one takes its time.
func (l *looking) targets() {
	if l.Reach == nil {
		return
	}
	failures := map[target]string{}
	var mu sync.Mutex // guards failures
	var wg sync.WaitGroup
	for i := range l.sessions {
		s := &l.sessions[i]
		it := target{s.Transport, s.Target}
		mu.Lock()
		_, tried := failures[it]
		if !tried && s.Kind == ownline.Forward {
			failures[it] = ""
			wg.Go(func() {
				failure := l.Reach(it.t, it.at)
				mu.Lock()
				defer mu.Unlock()
				failures[it] = failure
			})
		}
		mu.Unlock()
	}
	wg.Wait()
	n, some := len(l.found), len(failures) > 0
	for i := range l.sessions {
		s := &l.sessions[i]
		it := target{s.Transport, s.Target}
		switch failures[it] {
		case "":
		case link.ReachRefused:
			l.say(&refuses, s.Service, s.Target)
		default:
			l.say(&silent, s.Service, s.Target)
		}
		delete(failures, it) // each is told of once
	}
	if some && len(l.found) == n {
		l.say(&answering)
	}
}
