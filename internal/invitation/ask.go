package invitation

import (
	"encoding/binary"
	"net/netip"
	"time"
)

const version = 1

// Kind is what a guest asks.
type Kind uint8

// The kinds of ask.
const (
	Show   Kind = 1 // tell me what this link opens; changes nothing
	Redeem Kind = 2 // open it for my address
)

// Offsets in an ask's plaintext; numbers are big-endian.
const (
	atVersion  = 0
	atKind     = 1
	atReserved = 2
	atTime     = 4
	atSource   = 12
	atRest     = 28
)

// Ask is what a guest asks through a broker.
type Ask struct {
	Kind   Kind
	Nonce  Nonce      // random, new for every ask
	Time   time.Time  // when it was made; milliseconds count
	Source netip.Addr // the public address that the guest's browser has
}

// SealAsk makes the message. The nonce must never have been used with this link.
func (k *Keys) SealAsk(a Ask) []byte {
	var plain [askPlain]byte
	plain[atVersion], plain[atKind] = version, byte(a.Kind)
	binary.BigEndian.PutUint64(plain[atTime:], uint64(a.Time.UnixMilli()))
	source := a.Source.As16()
	copy(plain[atSource:], source[:])
	return k.sealAsk(k.Hint(EpochOf(a.Time)), a.Nonce, plain[:])
}

func (k *Keys) sealAsk(hint Hint, nonce Nonce, plain []byte) []byte {
	out := make([]byte, 0, AskSize)
	out = append(append(out, hint[:]...), nonce[:]...)
	return k.seal.Seal(out, nonce[:], plain, hint[:])
}

// HintOf returns how a message begins, and whether it has the size of an ask at all.
func HintOf(message []byte) (Hint, bool) {
	if len(message) != AskSize {
		return Hint{}, false
	}
	return Hint(message[:HintSize]), true
}

// OpenAsk decrypts a message that was sealed to this link, and parses it strictly: every ask
// has one encoding. Whether it is fresh is for the caller to judge.
func (k *Keys) OpenAsk(message []byte) (Ask, error) {
	if len(message) != AskSize {
		return Ask{}, ErrRejected
	}
	nonce := Nonce(message[HintSize:])
	plain, err := k.seal.Open(nil, nonce[:], message[HintSize+NonceSize:], message[:HintSize])
	if err != nil {
		return Ask{}, ErrRejected
	}
	ms := binary.BigEndian.Uint64(plain[atTime:])
	a := Ask{
		Kind: Kind(plain[atKind]), Nonce: nonce, Time: time.UnixMilli(int64(ms)).UTC(),
		Source: netip.AddrFrom16([16]byte(plain[atSource:])).Unmap(),
	}
	switch {
	case plain[atVersion] != version, a.Kind != Show && a.Kind != Redeem, ms > maxTime, a.Source.IsUnspecified(),
		!allZero(plain[atReserved:atTime]), !allZero(plain[atRest:]), k.Hint(EpochOf(a.Time)) != Hint(message):
		return Ask{}, ErrRejected
	}
	return a, nil
}

// maxTime keeps a timestamp within what time.UnixMilli and databases carry: the year 9999.
const maxTime = 253_402_300_799_999

func allZero(b []byte) bool {
	var or byte
	for _, c := range b {
		or |= c
	}
	return or == 0
}

// Fresh reports whether an ask made at t may be taken at now.
func Fresh(t, now time.Time) bool {
	d := now.Sub(t)
	return -Window <= d && d <= Window
}
