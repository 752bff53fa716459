package bedtest

import (
	"testing"

	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/firewalls"
)

// UFW is one on a host whose errors end the test.
type UFW struct {
	*firewalls.UFW
	tb testing.TB
}

// NewUFW makes one that is not enabled and has no rules.
func NewUFW(tb testing.TB, h *bed.Host) *UFW {
	tb.Helper()
	u, err := firewalls.NewUFW(h, tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	return &UFW{u, tb}
}

// Default writes /etc/default/ufw, with lines for what is not about policies.
func (u *UFW) Default(lines ...string) {
	u.tb.Helper()
	if err := u.UFW.Default(lines...); err != nil {
		u.tb.Fatal(err)
	}
}

// Told has it do what words say; it may fail.
func (u *UFW) Told(words string) (string, error) { return u.UFW.Tell(words) }

// Tell is Told that may not.
func (u *UFW) Tell(words string) string {
	u.tb.Helper()
	out, err := u.Told(words)
	if err != nil {
		u.tb.Fatalf("ufw %s: %v: %s", words, err, out)
	}
	return out
}

// Rules are those that its admin made, as its files have them.
func (u *UFW) Rules() string {
	u.tb.Helper()
	all, err := u.UFW.Rules()
	if err != nil {
		u.tb.Fatal(err)
	}
	return all
}
