package fwknop

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"hash"

	"github.com/ownline/ownline/internal/knock"
)

// Sizes of a packet, in characters: from the smallest with the shortest HMAC to the largest that
// fwknop's own server takes for one with symmetric keys.
const (
	MinSize = 183
	MaxSize = 399
)

// Sizes of keys, in bytes. Shorter ones could be guessed; fwknop's clients take no longer ones.
const (
	minKey     = 16
	maxKey     = 32
	maxHMACKey = 128
)

// The HMACs that a packet may have. Nothing in it tells which one it is, so each device has one.
const (
	SHA256   = "sha256" // what clients do when nothing is said
	SHA384   = "sha384"
	SHA512   = "sha512"
	SHA3x256 = "sha3_256" // of clients from 2.6.9 on, as is the next
	SHA3x512 = "sha3_512"
)

// newHash returns what makes the hash of an HMAC; nil: there is none of that name.
func newHash(digest string) func() hash.Hash {
	switch digest {
	case SHA256:
		return sha256.New
	case SHA384:
		return sha512.New384
	case SHA512:
		return sha512.New
	case SHA3x256:
		return func() hash.Hash { return sha3.New256() }
	case SHA3x512:
		return func() hash.Hash { return sha3.New512() }
	}
	return nil
}

// Known reports whether packets may have an HMAC of that name.
func Known(digest string) bool { return newHash(digest) != nil }

// prefix begins every packet and is not sent: the encoding of "Salted__", but for its last bits.
const prefix = "U2FsdGVkX1"

// Shaped reports whether a datagram may be a packet, at no cost: by its length, its first
// character, which holds the rest of the prefix, and its alphabet.
func Shaped(packet []byte) bool {
	if len(packet) < MinSize || len(packet) > MaxSize {
		return false
	}
	switch packet[0] {
	case '8', '9', '+', '/':
	default:
		return false
	}
	for _, c := range packet {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '/' <= c && c <= '9' || c == '+') {
			return false
		}
	}
	return true
}

// MAC tells the packets of one device. It is not safe for concurrent use.
type MAC struct {
	mac  hash.Hash
	size int      // of the HMAC in characters, without padding
	sum  [64]byte // the largest
	text [86]byte
}

// NewMAC makes one for a key of 16 to 128 bytes.
func NewMAC(digest string, key []byte) (*MAC, error) {
	h := newHash(digest)
	if h == nil {
		return nil, fmt.Errorf("%q is no HMAC that is taken: sha256, sha384, sha512, sha3_256 or sha3_512", digest)
	}
	if len(key) < minKey || len(key) > maxHMACKey {
		return nil, fmt.Errorf("an HMAC key has %d to %d bytes, not %d", minKey, maxHMACKey, len(key))
	}
	m := &MAC{mac: hmac.New(h, key)}
	m.size = base64.RawStdEncoding.EncodedLen(m.mac.Size())
	return m, nil
}

// Verify reports whether a packet that is Shaped is the device's, and returns what makes it
// another one than all others: the beginning of its HMAC. It compares the HMAC as text, which has
// one encoding, in constant time, and allocates nothing.
func (m *MAC) Verify(packet []byte) (n knock.Nonce, ok bool) {
	body := len(packet) - m.size
	if body <= 0 {
		return n, false
	}
	m.mac.Reset()
	copy(m.text[:], prefix)
	m.mac.Write(m.text[:len(prefix)])
	m.mac.Write(packet[:body])
	sum := m.mac.Sum(m.sum[:0])
	base64.RawStdEncoding.Encode(m.text[:m.size], sum)
	if subtle.ConstantTimeCompare(m.text[:m.size], packet[body:]) != 1 {
		return n, false
	}
	return knock.Nonce(sum), true
}
