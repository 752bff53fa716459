package udpknock

import (
	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/link"
)

// reason is what became of a datagram.
type reason int

const (
	accepted reason = iota // of take: it waits for web's word; of counts: web has taken it
	badRead
	badLength
	badHint
	badSeal
	badTime
	badClaim
	noClaim
	badSource
	noClock
	noWeb
	badShape
	badMAC
	replay
	busy
	ignored
	notGranted // by web, as are the next
	refused
	refusedPolicy
	numReasons
)

// names are what status and metrics print; they stay as they are.
var names = [numReasons]string{
	badRead:       link.RefusedRead,
	badLength:     link.RefusedLength,
	badHint:       link.RefusedHint,
	badSeal:       link.RefusedSeal,
	badTime:       link.RefusedTime,
	badClaim:      link.RefusedClaim,
	noClaim:       link.RefusedNoClaim,
	badSource:     link.RefusedSource,
	noClock:       link.RefusedNoClock,
	noWeb:         link.RefusedNoWeb,
	badShape:      link.RefusedShape,
	badMAC:        link.RefusedMAC,
	replay:        link.RefusedReplay,
	busy:          link.RefusedBusy,
	ignored:       link.RefusedIgnored,
	notGranted:    link.RefusedNotGranted,
	refused:       link.RefusedElse,
	refusedPolicy: link.RefusedPolicy,
}

// verdict is what web's word on a knock is counted as, unless it is accepted.
func verdict(status knock.Status, why string) reason {
	switch {
	case status == knock.NothingGranted:
		return notGranted
	case status == knock.Refused && why == link.RefusedPolicy:
		return refusedPolicy
	case status == knock.Refused:
		return refused
	}
	return accepted
}

// Counts returns what became of the datagrams that reached the door.
func (d *Door) Counts() link.Knocks {
	k := link.Knocks{Accepted: d.counts[accepted].Load(), Dropped: make(map[string]uint64, numReasons)}
	for r := badRead; r < numReasons; r++ {
		k.Dropped[names[r]] = d.counts[r].Load()
	}
	return k
}
