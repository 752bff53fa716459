package knock

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// Sizes of the format, in bytes.
const (
	Size       = 128 // a whole packet: a knock or an answer
	SecretSize = 32  // a device's secret
	HintSize   = 8
	NonceSize  = 12

	plaintextSize = 92
)

// Epoch is how long a hint is valid. Receivers take those of the epoch before and after,
// too.
const Epoch = 10 * time.Minute

// ErrRejected is the one error of opening a packet. It never says why: whoever sent the
// packet must not learn it, and the receiver counts reasons by other means.
var ErrRejected = errors.New("knock rejected")

// Packet is a knock or an answer as it travels.
type Packet = [Size]byte

// HintValue is what a knock begins with: it tells receivers whose it may be, and strangers
// nothing.
type HintValue = [HintSize]byte

// Nonce makes every packet of a device another one.
type Nonce [NonceSize]byte

// Keys are what a device and its site share, derived from the device's secret. Good at one
// site only. Safe for concurrent use.
type Keys struct {
	seal   cipher.AEAD
	answer cipher.AEAD
	hint   []byte
	tag    []byte // HMAC key of an answer's first bytes: the answer key itself
}

// DeriveKeys makes the keys by HKDF-SHA-256 (RFC 5869) from a device's secret of 32 bytes,
// salted with the site's identifier.
func DeriveKeys(secret ownline.Secret, site ownline.SiteID) (*Keys, error) {
	if len(secret) != SecretSize {
		return nil, fmt.Errorf("derive knock keys: a secret has %d bytes, not %d", SecretSize, len(secret))
	}
	prk, err := hkdf.Extract(sha256.New, secret, site[:])
	if err != nil {
		return nil, fmt.Errorf("derive knock keys: %w", err)
	}
	var keys [3][]byte
	for i, info := range []string{"ownline/knock/v1/seal", "ownline/knock/v1/hint", "ownline/knock/v1/answer"} {
		if keys[i], err = hkdf.Expand(sha256.New, prk, info, 32); err != nil {
			return nil, fmt.Errorf("derive knock keys: %w", err)
		}
	}
	k := &Keys{hint: keys[1], tag: keys[2]}
	if k.seal, err = newGCM(keys[0]); err != nil {
		return nil, err
	}
	if k.answer, err = newGCM(keys[2]); err != nil {
		return nil, err
	}
	return k, nil
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("derive knock keys: %w", err)
	}
	return cipher.NewGCM(block)
}

// EpochOf numbers the epoch that t lies in.
func EpochOf(t time.Time) uint64 {
	return uint64(max(t.Unix(), 0)) / uint64(Epoch/time.Second)
}

// Hint returns how the knocks of an epoch begin.
func (k *Keys) Hint(epoch uint64) HintValue {
	m := hmac.New(sha256.New, k.hint)
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], epoch)
	m.Write(b[:])
	return HintValue(m.Sum(nil))
}

// answerTag returns how the answer to the knock with that nonce begins.
func (k *Keys) answerTag(n Nonce) HintValue {
	m := hmac.New(sha256.New, k.tag)
	m.Write(n[:])
	return HintValue(m.Sum(nil))
}

// sealPacket encrypts plain behind the given first bytes and a nonce.
func sealPacket(aead cipher.AEAD, first HintValue, nonce Nonce, plain *[plaintextSize]byte) Packet {
	var p Packet
	copy(p[:], first[:])
	copy(p[HintSize:], nonce[:])
	aead.Seal(p[:HintSize+NonceSize], nonce[:], plain[:], first[:])
	return p
}

// openPacket decrypts p in place and returns its plaintext. It allocates nothing, so that
// bad packets cost no memory however many come.
func openPacket(aead cipher.AEAD, p *Packet) (*[plaintextSize]byte, error) {
	sealed := p[HintSize+NonceSize:]
	if _, err := aead.Open(sealed[:0], p[HintSize:HintSize+NonceSize], sealed, p[:HintSize]); err != nil {
		return nil, ErrRejected
	}
	return (*[plaintextSize]byte)(sealed), nil
}
