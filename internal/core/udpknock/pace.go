package udpknock

import "time"

// pace keeps what packets without a hint cost below half of one processor, however many come: after
// work, as much rest. What comes meanwhile waits in the socket, of what comes beyond that chance takes
// some, and that is not more of one sender's packets than of another's. The zero value is ready.
type pace struct {
	began time.Time     // of the work that has not been rested from
	work  time.Duration // since then
}

// restAfter is long enough to be worth a sleep, and short for who waits.
const restAfter = 5 * time.Millisecond

// worked adds work that was done from one time to another, and returns for how long to rest now.
func (p *pace) worked(from, to time.Time) time.Duration {
	if p.began.IsZero() {
		p.began = from
	}
	p.work += to.Sub(from)
	if p.work < restAfter {
		return 0
	}
	rest := 2*p.work - to.Sub(p.began)
	*p = pace{}
	return max(rest, 0)
}
