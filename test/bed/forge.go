package bed

import (
	"encoding/binary"
	"net/netip"
)

// Forgery is what Forge sends.
type Forgery struct {
	To       netip.AddrPort
	Payloads [][]byte                       // in turn
	Source   func(random uint32) netip.Addr // of each datagram; may be called by several goroutines at once
	Senders  int                            // at the same time; 0: one
	Rate     int                            // how many a second each of them sends; 0: as many as it can
}

// Everybody makes an address of the internet that a router would believe, of a random number, for Forgery.
func Everybody(random uint32) netip.Addr {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], random)
	switch a[0] %= 224; a[0] { // multicast and beyond are nobody's
	case 0, 10, 100, 127, 169, 172, 192, 198, 203: // private ones are among them, and those of the bed
		a[0] = 11
	}
	return netip.AddrFrom4(a)
}
