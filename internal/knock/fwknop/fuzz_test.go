package fwknop

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/knock"
)

// What a stranger sends is never a packet, whatever it is.
func FuzzOpen(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add([]byte(v.Packet))
	}
	k := Keys{Digest: SHA256, Key: bytes.Repeat([]byte{0x9d}, 32), HMAC: bytes.Repeat([]byte{0x3b}, 64)}
	f.Fuzz(func(t *testing.T, packet []byte) {
		if r, err := k.Open(packet); !errors.Is(err, knock.ErrRejected) {
			t.Errorf("opened as %+v, %v", r, err)
		}
	})
}

// What is behind the HMAC is read without a panic, and only what is written in the one way.
func FuzzParse(f *testing.F) {
	for _, v := range vectors(f) {
		if mac, err := NewMAC(v.Digest, v.keys(f).HMAC); err == nil && len(v.Packet) > mac.size {
			if plain, err := v.keys(f).decrypt([]byte(v.Packet)[:len(v.Packet)-mac.size]); err == nil {
				text, _, _ := strings.Cut(string(plain), "\x00")
				if end := strings.LastIndexByte(text, ':'); end > 0 {
					f.Add(text[:end])
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		sum := sha256.Sum256([]byte(text))
		r, err := parse([]byte(text + ":" + base64.RawStdEncoding.EncodeToString(sum[:])))
		if err != nil {
			if !errors.Is(err, knock.ErrRejected) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		fields := strings.Split(text, ":")
		if len(r.Ports) == 0 || len(r.Username) == 0 || r.Time.IsZero() || r.Source.IsValid() && !r.Source.Is4() ||
			fields[5] != base64.RawStdEncoding.EncodeToString([]byte(written(r))) {
			t.Errorf("%q is opened as %+v", text, r)
		}
	})
}
