package invitation

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// Sizes of the format, in bytes.
const (
	SecretSize = 32
	HintSize   = 8
	NonceSize  = 12
	AskSize    = 128  // a whole ask
	ReplySize  = 2048 // a whole reply

	tagSize  = 16
	askPlain = AskSize - HintSize - NonceSize - tagSize
	maxReply = ReplySize - HintSize - NonceSize - tagSize
	keySize  = 32
	keysSize = 3 * keySize
)

// Epoch is how long a hint is valid.
const Epoch = 10 * time.Minute

// Window is by how much a guest's clock may differ from web's.
const Window = 5 * time.Minute

// ErrRejected is the one error of opening a message. It never says why.
var ErrRejected = errors.New("sealed message rejected")

// Hint is what an ask begins with: it tells web whose it may be, and strangers nothing.
type Hint = [HintSize]byte

// Nonce makes every message another one.
type Nonce [NonceSize]byte

// Keys are what a link and web share. Safe for concurrent use.
type Keys struct {
	seal   cipher.AEAD
	answer cipher.AEAD
	hint   []byte
	tag    []byte // the answer key itself
}

// ParseSecret reads a secret as links have it behind the #.
func ParseSecret(s string) (ownline.Secret, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != SecretSize {
		return nil, ownline.Invalid("secret", "is not that of an invitation's link; was the link copied whole?")
	}
	return b, nil
}

// FormatSecret writes what ParseSecret reads.
func FormatSecret(s ownline.Secret) string { return base64.RawURLEncoding.EncodeToString(s) }

// Hash is what is kept of a secret to know it again. A secret is random, so that one round
// is enough.
func Hash(secret ownline.Secret) []byte {
	sum := sha256.Sum256(secret)
	return sum[:]
}

// Derive makes what opens sealed asks, by HKDF-SHA-256 (RFC 5869) from a link's secret: the
// keys as ParseKeys reads them. They lead to no link.
func Derive(secret ownline.Secret) (ownline.Secret, error) {
	if len(secret) != SecretSize {
		return nil, fmt.Errorf("derive invitation keys: a secret has %d bytes, not %d", SecretSize, len(secret))
	}
	prk, err := hkdf.Extract(sha256.New, secret, nil)
	if err != nil {
		return nil, fmt.Errorf("derive invitation keys: %w", err)
	}
	var out ownline.Secret
	for _, info := range []string{"ownline/invitation/v1/seal", "ownline/invitation/v1/hint", "ownline/invitation/v1/answer"} {
		key, err := hkdf.Expand(sha256.New, prk, info, keySize)
		if err != nil {
			return nil, fmt.Errorf("derive invitation keys: %w", err)
		}
		out = append(out, key...)
	}
	return out, nil
}

// ParseKeys reads what Derive made.
func ParseKeys(derived ownline.Secret) (*Keys, error) {
	if len(derived) != keysSize {
		return nil, fmt.Errorf("invitation keys have %d bytes, not %d", len(derived), keysSize)
	}
	k := &Keys{hint: derived[keySize : 2*keySize], tag: derived[2*keySize:]}
	var err error
	if k.seal, err = newGCM(derived[:keySize]); err != nil {
		return nil, err
	}
	k.answer, err = newGCM(k.tag)
	return k, err
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("invitation keys: %w", err)
	}
	return cipher.NewGCM(block)
}

// EpochOf numbers the epoch that t lies in.
func EpochOf(t time.Time) uint64 { return uint64(max(t.Unix(), 0)) / uint64(Epoch/time.Second) }

// Hint returns how the asks of an epoch begin.
func (k *Keys) Hint(epoch uint64) Hint {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], epoch)
	return Hint(mac(k.hint, b[:]))
}

// answerTag returns how the reply to the ask with that nonce begins.
func (k *Keys) answerTag(n Nonce) Hint { return Hint(mac(k.tag, n[:])) }

const topicPrefix = "ownline/answer/"

// AnswerTopic is where the reply to the ask with that nonce is published: another topic for
// every ask, so that the broker can't link a guest's asks.
func (k *Keys) AnswerTopic(n Nonce) string {
	return topicPrefix + base64.RawURLEncoding.EncodeToString(mac(k.tag, []byte("topic"), n[:])[:16])
}

func mac(key []byte, parts ...[]byte) []byte {
	m := hmac.New(sha256.New, key)
	for _, p := range parts {
		m.Write(p)
	}
	return m.Sum(nil)
}
