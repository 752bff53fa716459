package udpknock

import (
	"net/netip"
	"slices"
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
	// Outcome is what web said (knock.Status), or why the datagram was dropped, as link.Knocks names it,
	// or Waiting.
	Outcome string `json:"outcome"`

	seq uint64 // of a knock that was handed on
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
	known     [256]Seen
	strangers [64]Seen
	nextKnown int
	nextOther int
}

func (r *recent) add(s Seen) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.Device.IsZero() {
		r.strangers[r.nextOther] = s
		r.nextOther = (r.nextOther + 1) % len(r.strangers)
		return
	}
	r.known[r.nextKnown] = s
	r.nextKnown = (r.nextKnown + 1) % len(r.known)
}

// judged tells what became of a knock that was handed on.
func (r *recent) judged(seq uint64, outcome string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.known {
		if r.known[i].seq == seq {
			r.known[i].Outcome = outcome
			return
		}
	}
}

// Recent returns what came from the addresses that from picks, newest first: of devices at most 256, of
// strangers at most 64 of all that came from anywhere.
func (d *Door) Recent(from func(netip.Addr) bool) []Seen {
	r := &d.recent
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Seen
	for _, ring := range [][]Seen{r.known[:], r.strangers[:]} {
		for _, s := range ring {
			if !s.At.IsZero() && from(s.Source) {
				out = append(out, s)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Seen) int { return b.At.Compare(a.At) })
	return out
}
