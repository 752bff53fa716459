package udpknock

import (
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// Seen is a datagram that reached the door, and what became of it.
type Seen struct {
	At      time.Time         `json:"at"`
	Source  netip.Addr        `json:"source"`
	Device  ownline.DeviceID  `json:"device,omitzero"`  // whose key made it
	Hint    ownline.DeviceID  `json:"hint,omitzero"`    // whose hint it bears, if no key made it: anybody may have copied that
	Gone    bool              `json:"gone,omitempty"`   // the key that made it counts no more
	Service ownline.ServiceID `json:"service,omitzero"` // asked for; zero: all that its device is granted
	Skew    time.Duration     `json:"skew"`             // nanoseconds by which the device's clock is ahead
	// Outcome is what web said (knock.Status, or why it refuses or ignores it), or why the datagram was
	// dropped, as link.Knocks names it, or Waiting.
	Outcome  string   `json:"outcome"`
	Services []Judged `json:"services,omitempty"` // that it opened, or that were refused

	seq uint64 // of a knock that was handed on
	key mark   // that made it
}

// mark tells the keys of devices apart, and tells nothing of them.
type mark [8]byte

func markOf(id ownline.DeviceID, secret []byte) mark {
	h := sha256.Sum256(append([]byte(id.String()), secret...))
	return mark(h[:])
}

// Judged is what became of one service of a knock.
type Judged struct {
	Service   string            `json:"service"` // its name
	ServiceID ownline.ServiceID `json:"service_id"`
	Refused   string            `json:"refused,omitempty"` // why; "": it was opened
	Session   ownline.SessionID `json:"session,omitzero"`  // that was opened
	Until     time.Time         `json:"until,omitzero"`    // it was to be open
}

func seenFrom(a netip.AddrPort) Seen {
	return Seen{At: time.Now(), Source: a.Addr().Unmap().WithZone("")}
}

// Waiting is the outcome of a knock that web has not judged yet.
const Waiting = "waiting"

// recent holds the newest datagrams, by what it takes to make one, so that no flood of what is cheap
// washes away what became of the knocks of devices.
type recent struct {
	mu    sync.Mutex // guards the following
	rings [numKinds]ring
}

// The kinds of datagrams.
const (
	handed    = iota // needs a device's key, and comes once
	turned           // was made with a device's key, but may have been recorded and sent again
	strangers        // needs nothing; the hint that it bears may have been copied
	numKinds
)

func (s *Seen) kind() int {
	switch {
	case s.Device.IsZero():
		return strangers
	case s.seq == 0:
		return turned
	}
	return handed
}

// ring holds the newest of what was added.
type ring struct {
	all  [256]Seen
	next int
}

func (r *ring) add(s Seen) {
	r.all[r.next] = s
	r.next = (r.next + 1) % len(r.all)
}

// newest yields what was added, the newest first.
func (r *ring) newest(yield func(*Seen) bool) {
	for i := range r.all {
		s := &r.all[(r.next+len(r.all)-1-i)%len(r.all)]
		if s.At.IsZero() || !yield(s) {
			return
		}
	}
}

func (r *recent) add(s Seen) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rings[s.kind()].add(s)
}

// judged tells what became of a knock that was handed on.
func (r *recent) judged(seq uint64, outcome string) {
	r.tell(seq, func(s *Seen) { s.Outcome = outcome })
}

func (r *recent) tell(seq uint64, f func(*Seen)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s := range r.rings[handed].newest {
		if s.seq == seq {
			f(s)
			return
		}
	}
}

// mostJudged bounds what is kept of the services of all knocks, in bytes or so: a knock may
// open hundreds, and a router has little memory.
const mostJudged = 256 << 10

// Judge takes note of what became of each service of a knock that was handed on. What was noted of older
// ones is forgotten when it gets too much.
func (d *Door) Judge(seq uint64, services []Judged) {
	d.recent.tell(seq, func(s *Seen) { s.Services = services })
	d.recent.forgetServices()
}

func (r *recent) forgetServices() {
	r.mu.Lock()
	defer r.mu.Unlock()
	size := 0
	for s := range r.rings[handed].newest {
		for i := range s.Services {
			size += 96 + len(s.Services[i].Service) + len(s.Services[i].Refused)
		}
		if size > mostJudged {
			s.Services = nil
		}
	}
}

// Recent returns what came from the addresses that from picks, the newest first: of the newest 256
// that were handed on, the newest 256 that a device's key made and that were not, and the newest 256 others.
func (d *Door) Recent(from func(netip.Addr) bool) []Seen {
	d.mu.Lock()
	keys := d.keys
	d.mu.Unlock()
	r := &d.recent
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Seen
	for i := range r.rings {
		for s := range r.rings[i].newest {
			if from(s.Source) {
				out = append(out, *s)
			}
		}
	}
	for i := range out {
		_, counts := keys[out[i].key]
		out[i].Gone = !out[i].Device.IsZero() && !counts
	}
	newestFirst(out)
	return out
}

// Fair picks at most so many of what Recent returned. Each kind has its share of the places, so that
// none crowds out another; what one leaves, the newest of the others get.
func Fair(seen []Seen, most int) []Seen {
	var picked, others []Seen
	var taken [numKinds]int
	for _, s := range seen {
		if k := s.kind(); taken[k] < most/numKinds {
			taken[k]++
			picked = append(picked, s)
		} else {
			others = append(others, s)
		}
	}
	picked = append(picked, others[:min(len(others), most-len(picked))]...)
	newestFirst(picked)
	return picked
}

// newestFirst sorts few; what has no order of its own stays as it is. A sort of slices' for Seen alone is 0.01 MB.
func newestFirst(seen []Seen) {
	for i := range seen {
		for ; i > 0 && seen[i].At.After(seen[i-1].At); i-- {
			seen[i-1], seen[i] = seen[i], seen[i-1]
		}
	}
}
