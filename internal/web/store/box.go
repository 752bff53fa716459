package store

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/ownline/ownline/internal/ownline"
)

// box seals secrets with AES-256-GCM under random nonces, bound to what they belong to, so
// that a sealed secret can't be moved to another row.
type box struct{ aead cipher.AEAD }

const keySize = 32

func newBox(key ownline.Secret) (*box, error) {
	if len(key) != keySize {
		return nil, fmt.Errorf("the secret key has %d bytes, not %d", len(key), keySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &box{aead}, nil
}

func (b *box) seal(secret []byte, owner string) []byte {
	return b.aead.Seal(nil, nil, secret, []byte(owner))
}

func (b *box) open(sealed []byte, owner string) ([]byte, error) {
	secret, err := b.aead.Open(nil, nil, sealed, []byte(owner))
	if err != nil {
		return nil, errors.New("a sealed secret in the database is damaged or was sealed with another key")
	}
	return secret, nil
}

func (b *box) sealText(secret []byte, owner string) string {
	return base64.RawStdEncoding.EncodeToString(b.seal(secret, owner))
}

func (b *box) openText(sealed, owner string) ([]byte, error) {
	raw, err := base64.RawStdEncoding.DecodeString(sealed)
	if err != nil {
		return nil, errors.New("a sealed secret in the database is damaged")
	}
	return b.open(raw, owner)
}
