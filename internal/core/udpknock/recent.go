package udpknock

import (
	"net/netip"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// Seen is a datagram that reached the door, and what became of it.
type Seen struct {
	At      time.Time         `json:"at"`
	Source  netip.Addr        `json:"source"`
	Device  ownline.DeviceID  `json:"device,omitzero"`  // whose hint it bears
	Service ownline.ServiceID `json:"service,omitzero"` // asked for; zero: all that its device is granted
	Skew    time.Duration     `json:"skew"`             // nanoseconds by which the device's clock is ahead
	// Outcome is what web said (knock.Status, or why it ignores it), or why the datagram was dropped, as
	// link.Knocks names it, or Waiting.
	Outcome  string   `json:"outcome"`
	Services []Judged `json:"services,omitempty"` // that it opened, or that were refused

	seq uint64 // of a knock that was handed on
}

// Judged is what became of one service of a knock.
type Judged struct {
	Service   string            `json:"service"` // its name
	ServiceID ownline.ServiceID `json:"service_id"`
	Refused   string            `json:"refused,omitempty"` // why; "": it is open
}

func seenFrom(a netip.AddrPort) Seen {
	return Seen{At: time.Now(), Source: a.Addr().Unmap().WithZone("")}
}

// Waiting is the outcome of a knock that web has not judged yet.
const Waiting = "waiting"

// recent holds the newest datagrams. Those without a hint of ours have a ring of their own, so that no
// flood washes away what became of the knocks of devices.
type recent struct {
	mu        sync.Mutex // guards the following
	known     ring
	strangers ring
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
	if s.Device.IsZero() {
		r.strangers.add(s)
	} else {
		r.known.add(s)
	}
}

// judged tells what became of a knock that was handed on.
func (r *recent) judged(seq uint64, outcome string) {
	r.tell(seq, func(s *Seen) { s.Outcome = outcome })
}

func (r *recent) tell(seq uint64, f func(*Seen)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s := range r.known.newest {
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
	for s := range r.known.newest {
		for i := range s.Services {
			size += 64 + len(s.Services[i].Service) + len(s.Services[i].Refused)
		}
		if size > mostJudged {
			s.Services = nil
		}
	}
}

// Recent returns what came from the addresses that from picks: of the newest 256 datagrams that bore a
// device's hint, then of the newest 256 that did not, each newest first.
func (d *Door) Recent(from func(netip.Addr) bool) []Seen {
	r := &d.recent
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Seen
	for _, r := range []*ring{&r.known, &r.strangers} {
		for s := range r.newest {
			if from(s.Source) {
				out = append(out, *s)
			}
		}
	}
	return out
}
