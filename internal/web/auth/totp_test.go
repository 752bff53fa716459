package auth

import (
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/ownline/ownline/internal/ownline"
)

// app is what a user's telephone makes codes with.
type app struct {
	secret string
	codes  []string // for recovery
}

func (p app) code(at time.Time) Code {
	return Code{TOTP: must(totp.GenerateCode(p.secret, at))}
}

// turnOn turns the user's second factor on and returns their app.
func turnOn(t *testing.T, a *Auth, u ownline.User) app {
	t.Helper()
	secret, uri, err := a.OfferTOTP(t.Context(), fresh(u), "")
	if err != nil || !strings.HasPrefix(uri, "otpauth://totp/Ownline%20own.example.org:"+u.Name+"?") || !strings.Contains(uri, secret) {
		t.Fatal(uri, err)
	}
	p := app{secret: secret}
	// The code of the step before: that of the present one is still to be used.
	p.codes, err = a.ConfirmTOTP(t.Context(), fresh(u), p.code(time.Now().Add(-stepSeconds*time.Second)).TOTP)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// wanted signs in by the password alone and returns the challenge.
func wanted(t *testing.T, a *Auth, name string, factors ...string) string {
	t.Helper()
	_, _, err := a.Check(t.Context(), name, goodPassword, Code{}, at(home))
	second, ok := errors.AsType[*SecondFactorError](err)
	if !ok || !errors.Is(err, ownline.ErrUnauthorized) || !slices.Equal(second.Factors, factors) {
		t.Fatalf("got %v", err)
	}
	return second.Challenge
}

func TestTOTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, ana := newAuth(t)
		ctx := t.Context()
		// One that nobody confirmed does not count.
		if _, _, err := a.OfferTOTP(ctx, fresh(ana), ""); err != nil {
			t.Fatal(err)
		}
		if _, err := a.ConfirmTOTP(ctx, fresh(ana), "000000"); !errors.Is(err, ownline.ErrInvalid) {
			t.Errorf("confirmed by a wrong code: %v", err)
		}
		if _, method, err := a.Check(ctx, "ana", goodPassword, Code{}, at(home)); err != nil || method != ownline.ByPassword {
			t.Fatal(method, err)
		}
		phone := turnOn(t, a, ana)
		if _, _, err := a.OfferTOTP(ctx, fresh(ana), ""); !errors.Is(err, ownline.ErrConflict) {
			t.Errorf("a second one: %v", err)
		}
		challenge := wanted(t, a, "ana", "totp", "recovery_code")
		for what, code := range map[string]Code{
			"none": {}, "wrong": {TOTP: "000000"}, "old": phone.code(time.Now().Add(-time.Hour)), "wrong recovery": {Recovery: "aaaa-bbbb-cccc-dddd"},
		} {
			if _, _, err := a.CheckSecond(ctx, challenge, code, at(home)); err == nil {
				t.Errorf("%s: signed in", what)
			}
		}
		for what, from := range map[string]Identity{"another place": at(stranger), "another browser": {Client: home, Agent: "x"}} {
			if _, _, err := a.CheckSecond(ctx, challenge, phone.code(time.Now()), from); !errors.Is(err, ownline.ErrForbidden) {
				t.Errorf("from %s: %v", what, err)
			}
		}
		u, method, err := a.CheckSecond(ctx, challenge, phone.code(time.Now()), at(home))
		if err != nil || u.ID != ana.ID || method != ownline.ByTOTP {
			t.Fatal(u, method, err)
		}
		again := wanted(t, a, "ana", "totp", "recovery_code")
		if _, _, err := a.CheckSecond(ctx, again, phone.code(time.Now()), at(home)); !errors.Is(err, ownline.ErrUnauthorized) {
			t.Errorf("a code twice: %v", err)
		}
		time.Sleep(stepSeconds * time.Second)
		if _, _, err := a.CheckSecond(ctx, challenge, phone.code(time.Now()), at(home)); !errors.Is(err, ownline.ErrForbidden) {
			t.Errorf("a challenge twice: %v", err)
		}
		time.Sleep(stepSeconds * time.Second)
		if _, method, err := a.Check(ctx, "ana", goodPassword, phone.code(time.Now()), at(home)); err != nil || method != ownline.ByTOTP {
			t.Errorf("in one step: %v", err)
		}
		if _, _, err := a.Check(ctx, "ana", "wrong password", phone.code(time.Now().Add(stepSeconds*time.Second)), at(home)); !errors.Is(err, ownline.ErrUnauthorized) {
			t.Errorf("a code does not replace the password: %v", err)
		}
		late := wanted(t, a, "ana", "totp", "recovery_code")
		time.Sleep(stepLifetime)
		if _, _, err := a.CheckSecond(ctx, late, phone.code(time.Now()), at(home)); !errors.Is(err, ownline.ErrForbidden) {
			t.Errorf("a late challenge: %v", err)
		}

		if err := a.RemoveTOTP(ctx, fresh(ana), "", Code{}); !errors.Is(err, ownline.ErrForbidden) {
			t.Errorf("turned off for nothing: %v", err)
		}
		if err := a.RemoveTOTP(ctx, fresh(ana), "", phone.code(time.Now())); err != nil {
			t.Errorf("turned off by a code: %v", err)
		}
		if _, _, err := a.Check(ctx, "ana", goodPassword, Code{}, at(home)); err != nil {
			t.Errorf("after it was turned off: %v", err)
		}
	})
}

// Two that use one code at the same time: one gets in.
func TestCodesCountOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, ana := newAuth(t)
		phone := turnOn(t, a, ana)
		for name, make := range map[string]func() Code{
			"totp":     func() Code { return phone.code(time.Now()) },
			"recovery": func() Code { return Code{Recovery: strings.ToUpper(phone.codes[0])} },
		} {
			time.Sleep(2 * forgetAfter) // past the throttle
			code := make()
			var wg sync.WaitGroup
			var mu sync.Mutex
			in := 0
			for i := range 4 {
				challenge := wanted(t, a, "ana", "totp", "recovery_code")
				from := at(home)
				wg.Go(func() {
					_, _, err := a.CheckSecond(t.Context(), challenge, code, from)
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						in++
					} else if !errors.Is(err, ownline.ErrUnauthorized) {
						t.Error(i, err)
					}
				})
			}
			wg.Wait()
			if in != 1 {
				t.Errorf("%s: %d got in by one code", name, in)
			}
		}
		if f := must(a.Factors(t.Context(), fresh(ana))); f.RecoveryCodes != recoveryCodes-1 || !f.TOTP {
			t.Errorf("got %+v", f)
		}
		time.Sleep(2 * forgetAfter)
		codes := must(a.NewRecoveryCodes(t.Context(), fresh(ana), goodPassword, Code{}))
		if len(codes) != recoveryCodes {
			t.Errorf("got %d codes", len(codes))
		}
		challenge := wanted(t, a, "ana", "totp", "recovery_code")
		if _, _, err := a.CheckSecond(t.Context(), challenge, Code{Recovery: phone.codes[1]}, at(home)); !errors.Is(err, ownline.ErrUnauthorized) {
			t.Errorf("an old recovery code: %v", err)
		}
		if _, method, err := a.CheckSecond(t.Context(), challenge, Code{Recovery: codes[1]}, at(home)); err != nil || method != ownline.ByRecovery {
			t.Errorf("a new one: %v, %v", method, err)
		}
	})
}

// Neither the secret nor the codes are in the database in the clear.
func TestSecretIsSealed(t *testing.T) {
	a, st, ana := newAuth(t)
	phone := turnOn(t, a, ana)
	raw := must(base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(phone.secret))
	got := must(st.TOTP(t.Context(), ana.ID))
	if string(got.Secret) != string(raw) {
		t.Fatal("another secret")
	}
	if strings.Contains(fmt.Sprintf("%v %+v", got, got), phone.secret) {
		t.Error("printing shows it")
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	for _, file := range st.files(t) {
		for _, secret := range append(phone.codes, string(raw), phone.secret, strings.ReplaceAll(phone.codes[0], "-", "")) {
			if strings.Contains(file, secret) {
				t.Error("a secret is in the database")
			}
		}
	}
}

// Many who know the password guess codes from everywhere: the account slows all of them
// down, and its owner, at home, gets in. Without the password nobody gets that far.
func TestGuessingCodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		a, st, ana := newAuth(t)
		a.log = slog.New(slog.NewTextHandler(&log, nil))
		phone := turnOn(t, a, ana)
		ctx := t.Context()
		if _, _, err := a.Check(ctx, "ana", goodPassword, phone.code(time.Now()), at(home)); err != nil {
			t.Fatal(err)
		}
		guesses := 0
		for i := range 300 {
			from := at(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}))
			_, _, err := a.Check(ctx, "ana", goodPassword, Code{TOTP: "000000"}, from)
			if errors.Is(err, ownline.ErrUnauthorized) {
				guesses++
			} else if !errors.Is(err, ownline.ErrThrottled) {
				t.Fatal(err)
			}
		}
		if guesses > freeTries+2 {
			t.Errorf("%d guesses at once", guesses)
		}
		if !strings.Contains(log.String(), "guesses codes") || !slices.ContainsFunc(st.audit, func(line string) bool { return strings.HasPrefix(line, "login auth.guessing ana ") }) {
			t.Errorf("nobody is told: %s, %q", &log, st.audit)
		}
		time.Sleep(time.Minute)
		start := time.Now()
		if _, _, err := a.Check(ctx, "ana", goodPassword, phone.code(time.Now()), at(home)); err != nil || time.Since(start) > 0 {
			t.Errorf("from home: %v after %s", err, time.Since(start))
		}
		// Even from a known place a code can't be guessed on and on.
		throttled := false
		for range 10 {
			_, _, err := a.Check(ctx, "ana", goodPassword, Code{Recovery: "x"}, at(home))
			throttled = throttled || errors.Is(err, ownline.ErrThrottled)
		}
		if !throttled {
			t.Error("guessing from a known place goes on")
		}
	})
}
