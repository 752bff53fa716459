package fwknop

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
)

// vector is a packet that the real client made, or one that was made to be refused, with what the
// real server (2.6.10) did with its like.
type vector struct {
	Name    string `json:"name"`
	Key     string `json:"key_base64"`
	HMACKey string `json:"hmac_key_base64"`
	Digest  string `json:"hmac_digest"`
	Packet  string `json:"packet"`
	Expect  string `json:"expect"`
	Advice  string `json:"recommended"`
	Decoded *struct {
		User    string  `json:"username"`
		Time    int64   `json:"timestamp"`
		Message string  `json:"message"`
		NAT     *string `json:"nat_access"`
		Timeout int     `json:"client_timeout"`
		HMAC    string  `json:"hmac"`
	} `json:"decoded"`
	Time int64 `json:"timestamp"`
}

func vectors(t testing.TB) []vector {
	t.Helper()
	b, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func (v vector) keys(t testing.TB) Keys {
	t.Helper()
	read := func(s string) []byte {
		b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		return b
	}
	return Keys{Digest: v.Digest, Key: read(v.Key), HMAC: read(v.HMACKey)}
}

// elsewhere are packets that are well formed, and refused for what they mean: by those who know
// the time, the sender's address, and what is granted.
var elsewhere = []string{"timestamp_one_hour_old", "timestamp_future", "access_for_other_ip", "access_resolved_R", "crafted_nat_hostname", "crafted_nat_loopback"}

func TestVectors(t *testing.T) {
	all := vectors(t)
	if len(all) != 164 {
		t.Fatalf("%d vectors, want 164", len(all))
	}
	taken := 0
	for _, v := range all {
		want := v.Expect == "valid" && (strings.HasPrefix(v.Advice, "accept") || v.Advice == "clamp") || slices.Contains(elsewhere, v.Name)
		k := v.keys(t)
		got, err := k.Open([]byte(v.Packet))
		switch {
		case (err == nil) != want:
			t.Errorf("%s: Open = %+v, %v; taken should be %v", v.Name, got, err, want)
			continue
		case err != nil:
			if got.Time != (time.Time{}) || got.Ports != nil {
				t.Errorf("%s: refused with %+v", v.Name, got)
			}
			if weak := !Known(v.Digest) || strings.HasSuffix(v.Name, "key_one_byte"); errors.Is(err, knock.ErrRejected) == weak {
				t.Errorf("%s: %v", v.Name, err)
			}
			continue
		}
		taken++
		if d := v.Decoded; d != nil {
			raw, _ := base64.RawStdEncoding.DecodeString(d.HMAC)
			nat := ""
			if d.NAT != nil {
				nat = *d.NAT
			}
			if got.Username != d.User || got.Time.Unix() != d.Time || written(got) != d.Message || got.Nonce != knock.Nonce(raw) ||
				got.Duration != time.Duration(d.Timeout)*time.Second || got.Target.Host != "" && nat != fmt.Sprintf("%s,%d", got.Target.Host, got.Target.Port) || (got.Target.Host == "") != (nat == "") {
				t.Errorf("%s: opened as %+v, want %+v", v.Name, got, *d)
			}
		} else if got.Time.Unix() != v.Time {
			t.Errorf("%s: made at %v, not %d", v.Name, got.Time, v.Time)
		}
	}
	if taken < 50 {
		t.Errorf("only %d packets are taken", taken)
	}
}

// written is a request's message as the client wrote it.
func written(r Request) string {
	s := "0.0.0.0"
	if r.Source.IsValid() {
		s = r.Source.String()
	}
	for _, p := range r.Ports {
		s += fmt.Sprintf(",%s/%d", p.Transport, p.Number)
	}
	return s
}

// A packet with any bit changed, a character less or one more is no packet.
func TestAnyBitCounts(t *testing.T) {
	v := vectors(t)[0]
	k := v.keys(t)
	refuse := func(what string, p []byte) {
		t.Helper()
		if r, err := k.Open(p); !errors.Is(err, knock.ErrRejected) {
			t.Errorf("%s: Open = %+v, %v", what, r, err)
		}
	}
	for i := range v.Packet {
		for bit := range 8 {
			p := []byte(v.Packet)
			p[i] ^= 1 << bit
			refuse(fmt.Sprintf("bit %d of character %d", bit, i), p)
		}
	}
	for _, p := range []string{v.Packet[1:], v.Packet[:len(v.Packet)-1], v.Packet + "A", v.Packet + "=", v.Packet + "\n", prefix + v.Packet} {
		refuse(p, []byte(p))
	}
}

func TestShaped(t *testing.T) {
	good := "8" + strings.Repeat("A", MinSize-1)
	for p, want := range map[string]bool{
		good: true, "9" + good[1:]: true, "+" + good[1:]: true, "/" + good[1:]: true,
		"A" + good[1:]: false, good[1:]: false, good[:MinSize-1] + "=": false, good[:MinSize-1] + "-": false, good[:MinSize-1] + "\n": false,
		good[:MinSize-1] + "\x80":                   false,
		good + strings.Repeat("A", MaxSize-MinSize): true, good + strings.Repeat("A", MaxSize-MinSize+1): false, "": false,
	} {
		if got := Shaped([]byte(p)); got != want {
			t.Errorf("Shaped of %d characters that begin with %.5q = %v", len(p), p, got)
		}
	}
}

// What strangers send costs no memory.
func TestVerifyAllocatesNothing(t *testing.T) {
	for _, digest := range []string{SHA256, SHA384, SHA512, SHA3x256, SHA3x512} {
		m, err := NewMAC(digest, make([]byte, 64))
		if err != nil {
			t.Fatal(err)
		}
		p := []byte("8" + strings.Repeat("A", MaxSize-1))
		if n := testing.AllocsPerRun(100, func() {
			if Shaped(p) {
				m.Verify(p)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", digest, n)
		}
	}
}

func TestDeriveKeys(t *testing.T) {
	secret, site := make(ownline.Secret, ownline.SecretSize), ownline.NewID[ownline.Site]()
	k, err := DeriveKeys(SHA256, secret, site)
	if err != nil || len(k.Key) != 32 || len(k.HMAC) != 64 || slices.Equal(k.Key, k.HMAC[:32]) {
		t.Fatalf("%v, %v", k, err)
	}
	other, err := DeriveKeys(SHA256, secret, ownline.NewID[ownline.Site]())
	if err != nil || slices.Equal(other.Key, k.Key) || slices.Equal(other.HMAC, k.HMAC) {
		t.Errorf("another site has the same keys, %v", err)
	}
	if _, err := DeriveKeys(SHA256, secret[1:], site); err == nil {
		t.Error("a secret of 31 bytes is taken")
	}
}
