package knock

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
)

const (
	topicPrefix = "ownline/answer/"
	topicSize   = 16 // bytes of the HMAC that name a topic
)

// AnswerTopic returns the MQTT topic to which the answer to the knock with that nonce is
// published: one of its own for every knock, so that a broker can't tell which are of one device.
func (k *Keys) AnswerTopic(n Nonce) string {
	m := hmac.New(sha256.New, k.tag)
	m.Write([]byte("topic"))
	m.Write(n[:])
	return topicPrefix + base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:topicSize])
}

// FromMessage returns the packet that an MQTT message carries: its bytes as they are, or in
// base64url (RFC 4648, section 5, without padding) as of clients that publish text alone.
func FromMessage(payload []byte) (p Packet, ok bool) {
	switch len(payload) {
	case Size:
		return Packet(payload), true
	case base64.RawURLEncoding.EncodedLen(Size):
		n, err := base64.RawURLEncoding.Strict().Decode(p[:], payload)
		return p, err == nil && n == Size
	}
	return p, false
}
