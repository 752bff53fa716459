package auth

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/store"
)

// full is a database on a full disk: reading goes on, writing fails.
type full struct{ *store.Store }

var errFull = errors.New("database or disk is full")

func (full) TouchToken(context.Context, ownline.TokenID, time.Time) error { return errFull }
func (full) TouchLogin(context.Context, ownline.LoginID, time.Time, time.Time) error {
	return errFull
}

func TestFullDiskKeepsNobodyOut(t *testing.T) {
	a, d, ana := newAuth(t)
	_, token, err := a.AddToken(t.Context(), Identity{User: ana}, "t", []string{ownline.ScopeFull}, time.Time{}, "", Code{})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	a = New(Options{Store: full{d.Store}, Passwords: CheapPasswords(), Log: slog.New(slog.NewTextHandler(&log, nil))})
	for range 3 {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		if id, err := a.Identify(r); err != nil || id.User.ID != ana.ID {
			t.Errorf("%v, %v", id.User, err)
		}
	}
	if n := strings.Count(log.String(), "can't be written down"); n != 1 {
		t.Errorf("%d lines: %s", n, &log)
	}
}

// Who comes home every day is known there, from however many other places they came.
func TestHomeStaysKnown(t *testing.T) {
	a, _, ana := newAuth(t)
	signIn := func(from netip.Addr) {
		t.Helper()
		if _, _, err := a.Check(t.Context(), "ana", goodPassword, Code{}, at(from)); err != nil {
			t.Fatal(err)
		}
	}
	signIn(home)
	for n := range byte(2 * maxKnown) {
		signIn(netip.AddrFrom4([4]byte{203, 0, 113, n}))
		signIn(home)
	}
	if known, err := a.cameFrom(t.Context(), ana.ID, home); !known || err != nil {
		t.Errorf("home is new again: %v", err)
	}
	if known, err := a.cameFrom(t.Context(), ana.ID, netip.AddrFrom4([4]byte{203, 0, 113, 0})); known || err != nil {
		t.Errorf("a place of long ago is still known: %v", err)
	}
}

// A hash from elsewhere may not cost what an attack does, wherever it came in.
func TestCostlyHashes(t *testing.T) {
	const end = "$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	p := CheapPasswords()
	for params, ok := range map[string]bool{
		"m=65536,t=3,p=4": true, "m=262144,t=3,p=16": true,
		"m=1500000,t=3,p=1": false, "m=65536,t=17,p=1": false, "m=65536,t=3,p=200": false, "m=262144,t=16,p=1": false, "m=7,t=1,p=1": false, "m=65536,t=0,p=1": false, "m=65536,t=1,p=0": false,
	} {
		hash := "$argon2id$v=19$" + params + end
		if err := p.CheckHash(hash); (err == nil) != ok {
			t.Errorf("%s: %v", params, err)
		}
		if ok {
			continue
		}
		if _, err := p.match(t.Context(), "x", hash, false); !errors.Is(err, ownline.ErrInvalid) {
			t.Errorf("%s is compared with: %v", params, err)
		}
	}
}
