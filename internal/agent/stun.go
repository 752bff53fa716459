package agent

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"net/netip"
)

// All of STUN that is needed (RFC 8489, sections 5 and 14.2): one question and one attribute of its answer. The
// libraries for it bring half of WebRTC along, and with that what can't be linked for Android.
const (
	stunHeader    = 20
	stunAsk       = 0x0001
	stunAnswer    = 0x0101
	stunMagic     = 0x2112A442
	stunXORMapped = 0x0020
)

// stunRequest makes a question.
func stunRequest() []byte {
	b := make([]byte, stunHeader)
	binary.BigEndian.PutUint16(b, stunAsk)
	binary.BigEndian.PutUint32(b[4:], stunMagic)
	rand.Read(b[8:]) // never fails: crypto/rand crashes the program instead
	return b
}

// stunAddress reads the address that the answer to a question tells.
func stunAddress(ask, answer []byte) (netip.Addr, bool) {
	if len(answer) < stunHeader || binary.BigEndian.Uint16(answer) != stunAnswer ||
		int(binary.BigEndian.Uint16(answer[2:])) != len(answer)-stunHeader || !bytes.Equal(answer[4:stunHeader], ask[4:]) {
		return netip.Addr{}, false
	}
	key := answer[4:stunHeader]
	for rest := answer[stunHeader:]; len(rest) >= 4; {
		kind, size := binary.BigEndian.Uint16(rest), int(binary.BigEndian.Uint16(rest[2:]))
		padded := (size + 3) &^ 3
		if len(rest) < 4+padded {
			break
		}
		value := rest[4 : 4+size]
		rest = rest[4+padded:]
		if kind != stunXORMapped || size < 4 {
			continue
		}
		// A byte for nothing, the family, the port, and the address; the last two masked.
		address := bytes.Clone(value[4:])
		if want := map[byte]int{1: 4, 2: 16}[value[1]]; want == 0 || len(address) != want {
			return netip.Addr{}, false
		}
		for i := range address {
			address[i] ^= key[i]
		}
		a, ok := netip.AddrFromSlice(address)
		return a.Unmap(), ok
	}
	return netip.Addr{}, false
}
