package agent

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/pion/stun/v3"
)

// Another implementation understands our question, and we its answer.
func TestSTUN(t *testing.T) {
	for _, want := range []string{"198.51.100.7", "2001:db8::7"} {
		ask := stunRequest()
		question := &stun.Message{Raw: ask}
		if err := question.Decode(); err != nil || question.Type != stun.BindingRequest {
			t.Fatalf("asked %v, %v", question, err)
		}
		answer, err := stun.Build(question, stun.BindingSuccess, stun.NewSoftware("odd"), &stun.XORMappedAddress{IP: net.ParseIP(want), Port: 4711}, stun.Fingerprint)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := stunAddress(ask, answer.Raw); !ok || got != netip.MustParseAddr(want) {
			t.Errorf("got %s %v, want %s", got, ok, want)
		}
		if _, ok := stunAddress(stunRequest(), answer.Raw); ok {
			t.Error("took the answer to another question")
		}
		refused, err := stun.Build(question, stun.BindingError, &stun.XORMappedAddress{IP: net.ParseIP(want), Port: 4711})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := stunAddress(ask, refused.Raw); ok {
			t.Error("took a refusal for an answer")
		}
		for n := range answer.Raw {
			if got, ok := stunAddress(ask, answer.Raw[:n]); ok {
				t.Errorf("read %s of the first %d bytes", got, n)
			}
		}
	}
}

// Nothing that somebody sends makes it panic, and nothing is taken for an address that is none.
func FuzzSTUN(f *testing.F) {
	ask := make([]byte, stunHeader)
	copy(ask, stunRequest()[:8])
	question := &stun.Message{Raw: ask}
	if err := question.Decode(); err != nil {
		f.Fatal(err)
	}
	good, err := stun.Build(question, stun.BindingSuccess, stun.NewSoftware("odd"), &stun.XORMappedAddress{IP: net.ParseIP("198.51.100.7"), Port: 4711})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good.Raw)
	f.Add(good.Raw[:30])
	f.Fuzz(func(t *testing.T, answer []byte) {
		if a, ok := stunAddress(ask, answer); ok != a.IsValid() {
			t.Errorf("got %s %v", a, ok)
		}
	})
}

// A service without an address of the family is no noise.
func TestNoFamily(t *testing.T) {
	_, err := PublicAddress(t.Context(), []string{"stun:127.0.0.1:3478", "https://127.0.0.1:1/"}, "6")
	if !errors.Is(err, ErrNoFamily) || strings.Contains(err.Error(), "dial") {
		t.Error(err)
	}
	_, err = PublicAddress(t.Context(), []string{"stun:127.0.0.1:3478", "https://127.0.0.1:1/"}, "4")
	if err == nil || errors.Is(err, ErrNoFamily) {
		t.Error(err)
	}
}
