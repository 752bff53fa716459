package fwknop

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/md5" // of the format; nothing hangs on it, since keys are random and the HMAC comes first
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
)

// Keys are a device's two.
type Keys struct {
	Digest string // of the HMAC
	Key    []byte // of the encryption: 16 to 32 bytes
	HMAC   []byte // 16 to 128 bytes
}

// DeriveKeys makes both keys by HKDF-SHA-256 (RFC 5869) from a device's secret of 32 bytes,
// salted with the site's identifier: good at one site only, as those of Ownline's own knocks.
func DeriveKeys(digest string, secret ownline.Secret, site ownline.SiteID) (k Keys, err error) {
	if len(secret) != knock.SecretSize {
		return Keys{}, fmt.Errorf("derive fwknop keys: a secret has %d bytes, not %d", knock.SecretSize, len(secret))
	}
	prk, err := hkdf.Extract(sha256.New, secret, site[:])
	if err != nil {
		return Keys{}, fmt.Errorf("derive fwknop keys: %w", err)
	}
	k.Digest = digest
	if k.Key, err = hkdf.Expand(sha256.New, prk, "ownline/fwknop/v1/key", maxKey); err != nil {
		return Keys{}, fmt.Errorf("derive fwknop keys: %w", err)
	}
	if k.HMAC, err = hkdf.Expand(sha256.New, prk, "ownline/fwknop/v1/hmac", 64); err != nil {
		return Keys{}, fmt.Errorf("derive fwknop keys: %w", err)
	}
	return k, nil
}

// rejected is an ErrRejected that says why. It comes after the HMAC was right, so that logs may
// have it; the sender learns nothing all the same.
type rejected string

func (r rejected) Error() string { return "fwknop packet rejected: " + string(r) }

// Unwrap returns the kind.
func (r rejected) Unwrap() error { return knock.ErrRejected }

const (
	wrongKey = rejected("it does not decrypt; the encryption key or the mode is another")
	salted   = "Salted__"
)

// Open verifies a packet and takes it apart, strictly. What is wrong with it is an ErrRejected.
func (k Keys) Open(packet []byte) (r Request, err error) {
	mac, err := NewMAC(k.Digest, k.HMAC)
	if err != nil {
		return Request{}, err
	}
	if len(k.Key) < minKey || len(k.Key) > maxKey {
		return Request{}, fmt.Errorf("an encryption key has %d to %d bytes, not %d", minKey, maxKey, len(k.Key))
	}
	if !Shaped(packet) {
		return Request{}, knock.ErrRejected
	}
	nonce, ok := mac.Verify(packet)
	if !ok {
		return Request{}, knock.ErrRejected
	}
	plain, err := k.decrypt(packet[:len(packet)-mac.size])
	if err != nil {
		return Request{}, err
	}
	if r, err = parse(plain); err != nil {
		return Request{}, err
	}
	r.Nonce = nonce
	return r, nil
}

// decrypt returns the plaintext of what is in front of the HMAC.
func (k Keys) decrypt(body []byte) ([]byte, error) {
	raw, err := base64.RawStdEncoding.Strict().AppendDecode(nil, append([]byte(prefix), body...))
	if err != nil || len(raw) < 2*aes.BlockSize || len(raw)%aes.BlockSize != 0 || string(raw[:len(salted)]) != salted {
		return nil, rejected("it is no salted container")
	}
	key, iv := derive(k.Key, raw[len(salted):aes.BlockSize])
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	plain := raw[aes.BlockSize:]
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, plain)
	// PKCS#7 (RFC 5652, section 6.3). Who could ask an oracle has the HMAC key.
	pad := int(plain[len(plain)-1])
	if pad < 1 || pad > aes.BlockSize {
		return nil, wrongKey
	}
	for _, c := range plain[len(plain)-pad:] {
		if int(c) != pad {
			return nil, wrongKey
		}
	}
	return plain[:len(plain)-pad], nil
}

// derive is EVP_BytesToKey of OpenSSL with MD5 and one iteration.
func derive(key, salt []byte) (aesKey, iv []byte) {
	var all, last []byte
	for len(all) < 32+aes.BlockSize {
		sum := md5.Sum(bytes.Join([][]byte{last, key, salt}, nil))
		last = sum[:]
		all = append(all, last...)
	}
	return all[:32], all[32:]
}
