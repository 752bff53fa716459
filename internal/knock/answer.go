package knock

import (
	"crypto/subtle"
	"encoding/binary"
	"net/netip"
	"time"
)

// Status is what became of a knock.
type Status uint8

// What an answer says.
const (
	Opened         Status = 1
	Renewed        Status = 2
	NothingGranted Status = 3
	Refused        Status = 4
	Inside         Status = 5 // the device is in a local network and needs no session
)

// String returns the status in words, as the API and the command line print it.
func (s Status) String() string {
	switch s {
	case Opened:
		return "opened"
	case Renewed:
		return "renewed"
	case NothingGranted:
		return "nothing granted"
	case Refused:
		return "refused"
	case Inside:
		return "inside"
	}
	return "unknown"
}

// Offsets in an answer's plaintext; numbers are big-endian.
const (
	atStatus     = 1
	atSessions   = 2
	atAnswerTime = 4
	atSource     = 12
	atExpiry     = 28
	atAnswerRest = 36
)

// Answer tells a device what became of its knock.
type Answer struct {
	Status   Status
	Sessions uint16     // how many are live because of the knock
	Time     time.Time  // core's clock
	Source   netip.Addr // the device's address as core saw it
	Expires  time.Time  // of the session that ends first; zero: none
}

// SealAnswer makes the one answer to the knock with the nonce asked. The nonce of the
// answer must never have been used with these keys.
func (k *Keys) SealAnswer(asked, nonce Nonce, a Answer) Packet {
	var plain [plaintextSize]byte
	plain[atVersion] = version
	plain[atStatus] = byte(a.Status)
	binary.BigEndian.PutUint16(plain[atSessions:], a.Sessions)
	binary.BigEndian.PutUint64(plain[atAnswerTime:], uint64(a.Time.UnixMilli()))
	if a.Source.IsValid() {
		s := a.Source.As16()
		copy(plain[atSource:], s[:])
	}
	if !a.Expires.IsZero() {
		binary.BigEndian.PutUint64(plain[atExpiry:], uint64(a.Expires.UnixMilli()))
	}
	return sealPacket(k.answer, k.answerTag(asked), nonce, &plain)
}

// OpenAnswer reads the answer to the knock with that nonce, in place. Anything else is
// ErrRejected and leaves p as it was, unless its first bytes were right.
func (k *Keys) OpenAnswer(p *Packet, asked Nonce) (Answer, error) {
	want := k.answerTag(asked)
	if subtle.ConstantTimeCompare(p[:HintSize], want[:]) != 1 {
		return Answer{}, ErrRejected
	}
	plain, err := openPacket(k.answer, p)
	if err != nil {
		return Answer{}, err
	}
	ms, expiry := binary.BigEndian.Uint64(plain[atAnswerTime:]), binary.BigEndian.Uint64(plain[atExpiry:])
	status := Status(plain[atStatus])
	if plain[atVersion] != version || status < Opened || status > Inside ||
		ms > maxTime || expiry > maxTime || !allZero(plain[atAnswerRest:]) {
		return Answer{}, ErrRejected
	}
	a := Answer{
		Status:   status,
		Sessions: binary.BigEndian.Uint16(plain[atSessions:]),
		Time:     time.UnixMilli(int64(ms)).UTC(),
	}
	if source := plain[atSource:atExpiry]; !allZero(source) {
		a.Source = netip.AddrFrom16([16]byte(source)).Unmap()
	}
	if expiry != 0 {
		a.Expires = time.UnixMilli(int64(expiry)).UTC()
	}
	return a, nil
}
