package knock

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/ownline/ownline/internal/ownline"
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

// IsAnswerTopic reports whether a topic is one that AnswerTopic, or an invitation's, may have made.
func IsAnswerTopic(name string) bool {
	tag, ok := strings.CutPrefix(name, topicPrefix)
	if !ok || len(tag) != base64.RawURLEncoding.EncodedLen(topicSize) {
		return false
	}
	_, err := base64.RawURLEncoding.Strict().DecodeString(tag)
	return err == nil
}

// BrokerPassword returns what a device shows the broker inside web, where its name is its
// identifier: 43 characters of base64url, made from its secret.
func BrokerPassword(secret ownline.Secret, site ownline.SiteID) (ownline.Secret, error) {
	if len(secret) != SecretSize {
		return nil, fmt.Errorf("derive the password for the broker: a secret has %d bytes, not %d", SecretSize, len(secret))
	}
	key, err := hkdf.Key(sha256.New, secret, site[:], "ownline/mqtt/v1/password", 32)
	if err != nil {
		return nil, fmt.Errorf("derive the password for the broker: %w", err)
	}
	return ownline.Secret(base64.RawURLEncoding.EncodeToString(key)), nil
}
