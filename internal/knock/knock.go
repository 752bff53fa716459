package knock

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

const version = 1

// Flags of a knock.
const (
	flagClaimed = 1 << 0
	flagAnswer  = 1 << 1
	flagsKnown  = flagClaimed | flagAnswer
)

// Offsets in a knock's plaintext; numbers are big-endian.
const (
	atVersion  = 0
	atFlags    = 1
	atReserved = 2
	atTime     = 4
	atClaimed  = 12
	atService  = 28
	atDuration = 44
	atRest     = 48
)

// Knock is what a device asks: let my address in.
type Knock struct {
	Nonce        Nonce             // random, new for every knock
	Time         time.Time         // when it was made; milliseconds count
	Claimed      netip.Addr        // the public address that the device believes to have; zero: none
	AnswerWanted bool              // the device waits for the sealed answer
	Service      ownline.ServiceID // zero: every automatic grant
	Duration     time.Duration     // whole seconds; 0: the default
}

// Seal makes the packet. The nonce must never have been used by this device.
func (k *Keys) Seal(n Knock) Packet {
	var plain [plaintextSize]byte
	plain[atVersion] = version
	if n.Claimed.IsValid() {
		plain[atFlags] |= flagClaimed
		a := n.Claimed.As16()
		copy(plain[atClaimed:], a[:])
	}
	if n.AnswerWanted {
		plain[atFlags] |= flagAnswer
	}
	binary.BigEndian.PutUint64(plain[atTime:], uint64(n.Time.UnixMilli()))
	copy(plain[atService:], n.Service[:])
	binary.BigEndian.PutUint32(plain[atDuration:], uint32(n.Duration/time.Second))
	return sealPacket(k.seal, k.Hint(EpochOf(n.Time)), n.Nonce, &plain)
}

// Open decrypts a packet of this device and parses it strictly: every knock has one
// encoding. Whether it is fresh is for the caller to judge (Fresh, Memory). It decrypts in
// place, so p is no packet any more afterwards, and does not allocate.
func (k *Keys) Open(p *Packet) (Knock, error) {
	plain, err := openPacket(k.seal, p)
	if err != nil {
		return Knock{}, err
	}
	n, ok := parse(plain)
	if !ok {
		return Knock{}, ErrRejected
	}
	n.Nonce = Nonce(p[HintSize : HintSize+NonceSize])
	return n, nil
}

// maxTime keeps a timestamp within what time.UnixMilli and databases carry: the year 9999.
const maxTime = 253_402_300_799_999

func parse(plain *[plaintextSize]byte) (Knock, bool) {
	flags := plain[atFlags]
	ms := binary.BigEndian.Uint64(plain[atTime:])
	switch {
	case plain[atVersion] != version, flags&^flagsKnown != 0, ms > maxTime,
		!allZero(plain[atReserved:atTime]), !allZero(plain[atRest:]):
		return Knock{}, false
	}
	n := Knock{
		Time:         time.UnixMilli(int64(ms)).UTC(),
		AnswerWanted: flags&flagAnswer != 0,
		Service:      ownline.ServiceID(plain[atService:atDuration]),
		Duration:     time.Duration(binary.BigEndian.Uint32(plain[atDuration:])) * time.Second,
	}
	claimed := plain[atClaimed:atService]
	if flags&flagClaimed == 0 {
		return n, allZero(claimed)
	}
	n.Claimed = netip.AddrFrom16([16]byte(claimed)).Unmap()
	return n, !n.Claimed.IsUnspecified()
}

func allZero(b []byte) bool {
	var or byte
	for _, c := range b {
		or |= c
	}
	return or == 0
}

// Fresh reports whether a knock made at t may be taken at now: within skew, before or
// after.
func Fresh(t, now time.Time, skew time.Duration) bool {
	d := now.Sub(t)
	return -skew <= d && d <= skew
}
