// Package fwknoptest makes packets as fwknop's clients do, and others, for tests.
package fwknoptest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/knock/fwknop"
)

// Message is what a packet says, as text.
type Message struct {
	Time    time.Time
	Access  string // "0.0.0.0,tcp/22"
	Target  string // "192.168.7.10,22"; "": none
	Seconds int    // 0: none
}

// Plain returns the plaintext of a message.
func Plain(m Message) string {
	kind, more := 1, ""
	if m.Target != "" {
		kind, more = 2, ":"+encode([]byte(m.Target))
	}
	if m.Seconds != 0 {
		kind, more = kind+2, more+fmt.Sprintf(":%d", m.Seconds)
	}
	text := fmt.Sprintf("1885457181152162:%s:%d:3.0.0:%d:%s%s", encode([]byte("ana")), m.Time.Unix(), kind, encode([]byte(m.Access)), more)
	sum := sha256.Sum256([]byte(text))
	return text + ":" + encode(sum[:])
}

// Seal encrypts a plaintext and signs it with HMAC-SHA-256.
func Seal(k fwknop.Keys, plain string) []byte {
	salt := make([]byte, 8)
	rand.Read(salt)
	var all, last []byte
	for len(all) < 48 {
		sum := md5.Sum(append(append(append([]byte(nil), last...), k.Key...), salt...))
		last = sum[:]
		all = append(all, last...)
	}
	block, err := aes.NewCipher(all[:32])
	if err != nil {
		panic(err) // 32 bytes are a key
	}
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	sealed := []byte(plain + strings.Repeat(string(rune(pad)), pad))
	cipher.NewCBCEncrypter(block, all[32:]).CryptBlocks(sealed, sealed)
	text := encode(append(append([]byte("Salted__"), salt...), sealed...))
	mac := hmac.New(sha256.New, k.HMAC)
	mac.Write([]byte(text))
	return []byte(text[10:] + encode(mac.Sum(nil)))
}

func encode(b []byte) string { return base64.RawStdEncoding.EncodeToString(b) }
