package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/argon2id"

	"github.com/ownline/ownline/internal/ownline"
)

func TestCheck(t *testing.T) {
	a, st, ana := newAuth(t)
	addUser(t, st, ownline.User{Name: "gone", Disabled: true})
	u, _, err := a.Check(t.Context(), "ana", goodPassword, Code{}, at(home))
	if err != nil || u.ID != ana.ID {
		t.Fatalf("got %v, %v", u, err)
	}
	if known, _ := a.cameFrom(t.Context(), ana.ID, home); !known {
		t.Error("home is not known after signing in there")
	}
	var first string
	for i, try := range [][2]string{{"ana", "wrong"}, {"nobody", goodPassword}, {"nobody", "nobody's password"}, {"gone", goodPassword}, {"", ""}, {"ana", strings.Repeat("x", 5000)}} {
		_, _, err := a.Check(t.Context(), try[0], try[1], Code{}, at(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})))
		if !errors.Is(err, ownline.ErrUnauthorized) {
			t.Errorf("%q: got %v", try, err)
			continue
		}
		if first == "" {
			first = err.Error()
		}
		if err.Error() != first {
			t.Errorf("%q tells more: %v", try, err)
		}
	}
}

// The name that nobody has costs as much as a wrong password.
func TestUnknownNameIsNoFaster(t *testing.T) {
	p := NewPasswords()
	hash, err := p.Hash(goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	for what, h := range map[string]string{"a user's": hash, "nobody's": p.dummy()} {
		params, _, _, err := argon2id.DecodeHash(h)
		if err != nil || *params != *p.params {
			t.Errorf("%s hash costs %+v, %v; want %+v", what, params, err, *p.params)
		}
	}
	// That it is computed shows in the memory it takes, which no other program changes.
	takes := func(hash string) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if ok, err := p.match(t.Context(), "wrong", hash, false); ok || err != nil {
			t.Fatal(ok, err)
		}
		runtime.ReadMemStats(&after)
		return (after.TotalAlloc - before.TotalAlloc) >> 20
	}
	if wrong, unknown := takes(hash), takes(""); wrong < 64 || unknown != wrong {
		t.Errorf("a wrong password takes %d MiB, an unknown name %d", wrong, unknown)
	}
}

// Invariant 9: guessing is throttled and reported; the report does not repeat what was
// typed as a name that nobody has.
func TestGuessingIsReported(t *testing.T) {
	a, st, _ := newAuth(t)
	var log strings.Builder
	a.log = slog.New(slog.NewTextHandler(&log, nil))
	for range freeTries {
		_, _, _ = a.Check(t.Context(), "my secret password", "x", Code{}, at(stranger))
	}
	_, _, err := a.Check(t.Context(), "my secret password", "x", Code{}, at(stranger))
	if !errors.Is(err, ownline.ErrThrottled) {
		t.Errorf("got %v", err)
	}
	if len(st.audit) != 1 || !strings.HasPrefix(st.audit[0], "login auth.guessing unknown ") || !strings.Contains(log.String(), "guesses") || strings.Contains(log.String(), "secret") {
		t.Errorf("audit %q, log %s", st.audit, &log)
	}
}

func request(header, value string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set(header, value)
	return r
}

func TestLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, ana := newAuth(t)
		value, err := a.StartLogin(t.Context(), ana, ownline.ByPassword, at(home))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := a.store.Login(t.Context(), hashOf(value), time.Now()); err != nil {
			t.Error("not kept by its hash")
		}
		cookie := request("Cookie", CookieName+"="+value)
		id, err := a.Identify(cookie)
		if err != nil || id.User.ID != ana.ID || id.Login.IsZero() {
			t.Fatalf("got %+v, %v", id, err)
		}
		for range 4 { // used now and then, it lasts
			time.Sleep(loginLifetime - time.Hour)
			if id, err = a.Identify(cookie); !id.Known() || err != nil {
				t.Fatalf("signed out while in use: %v", err)
			}
		}
		time.Sleep(loginLifetime)
		if id, err := a.Identify(cookie); id.Known() || err != nil {
			t.Errorf("still signed in: %+v, %v", id, err)
		}
		if _, err := a.Recheck(t.Context(), id); !errors.Is(err, ownline.ErrUnauthorized) {
			t.Errorf("recheck: %v", err)
		}
		value, _ = a.StartLogin(t.Context(), ana, ownline.ByPassword, at(home))
		cookie = request("Cookie", CookieName+"="+value)
		id, _ = a.Identify(cookie)
		if err := a.EndLogin(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if id, _ := a.Identify(cookie); id.Known() {
			t.Error("still signed in after signing out")
		}
	})
}

func TestToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, st, ana := newAuth(t)
		tok, value, err := a.AddToken(t.Context(), Identity{User: ana, Client: home}, "laptop", []string{"full"}, time.Now().Add(time.Hour), "", Code{})
		if err != nil || !strings.HasPrefix(value, tokenPrefix) {
			t.Fatal(value, err)
		}
		if id, err := a.Identify(request("Authorization", "bearer "+value)); err != nil || id.Token != tok.ID || len(id.Scopes) != 1 {
			t.Errorf("got %+v, %v", id, err)
		}
		for _, wrong := range []string{"Bearer " + value + "x", "Basic " + value, value, "Bearer"} {
			if id, err := a.Identify(request("Authorization", wrong)); err != nil || id.Known() {
				t.Errorf("%q: got %+v, %v", wrong, id, err)
			}
		}
		time.Sleep(time.Hour)
		if id, _ := a.Identify(request("Authorization", "Bearer "+value)); id.Known() {
			t.Error("an old token counts")
		}
		if err := a.EndLogin(t.Context(), Identity{User: ana, Token: tok.ID, Client: home}); err != nil {
			t.Fatal(err)
		}
		want := []string{"login token.add " + tok.ID.String() + fmt.Sprintf(" %q, scopes %s", tok.Name, strings.Join(tok.Scopes, " ")), "token token.remove " + tok.ID.String()}
		if got := st.audit; !slices.Equal(got, want) {
			t.Errorf("audit has %q, want %q", got, want)
		}
	})
}

// A token outlasts the login of whoever finds a browser open.
func TestTokenWantsProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, ana := newAuth(t)
		value, err := a.StartLogin(t.Context(), ana, ownline.ByPassword, at(home))
		if err != nil {
			t.Fatal(err)
		}
		make := func(password string) error {
			id, err := a.Identify(request("Cookie", CookieName+"="+value))
			if err != nil || !id.Known() {
				t.Fatal(id, err)
			}
			_, _, err = a.AddToken(t.Context(), id, "script", []string{"read"}, time.Time{}, password, Code{})
			return err
		}
		if err := make(""); err != nil {
			t.Errorf("right after signing in: %v", err)
		}
		time.Sleep(freshFor)
		for _, wrong := range []string{"", "not the password"} {
			if err := make(wrong); !errors.Is(err, ownline.ErrForbidden) {
				t.Errorf("with %q: %v", wrong, err)
			}
		}
		if err := make(goodPassword); err != nil {
			t.Errorf("with the password: %v", err)
		}
	})
}

// users is how many there are.
type users int

func (u *users) CountUsers(context.Context) (int, error) { return int(*u), nil }

func TestSetup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(users)
		s, token := NewSetup(m)
		boom := errors.New("boom")
		for _, step := range []struct {
			token string
			f     error
			want  error
		}{
			{"wrong", nil, ownline.ErrForbidden},
			{token, boom, boom}, // a weak password does not use the link up
			{token, nil, nil},
			{token, nil, ownline.ErrForbidden},
		} {
			if err := s.Redeem(t.Context(), step.token, func() error { return step.f }); !errors.Is(err, step.want) {
				t.Errorf("got %v, want %v", err, step.want)
			}
		}
		s, token = NewSetup(m)
		time.Sleep(setupLifetime)
		if s.Redeem(t.Context(), token, func() error { return nil }) == nil {
			t.Error("an old link was taken")
		}
		s, token = NewSetup(m)
		*m = 1
		if s.Redeem(t.Context(), token, func() error { return nil }) == nil {
			t.Error("a second first admin was made")
		}
		if (*Setup)(nil).Redeem(t.Context(), token, func() error { return nil }) == nil {
			t.Error("no setup was redeemed")
		}
		// Who comes too late is told so; who guesses, or has an old link, is told what to do.
		const over, wrong = "the setup is finished", "this setup link is too old"
		used, usedToken := NewSetup(new(users))
		if err := used.Redeem(t.Context(), usedToken, func() error { return nil }); err != nil {
			t.Fatal(err)
		}
		fresh, freshToken := NewSetup(new(users))
		for name, step := range map[string]struct {
			setup       *Setup
			token, want string
		}{
			"used": {used, usedToken, over}, "no setup": {nil, "x", over}, "the command was quicker": {s, token, over},
			"a guess": {fresh, "x", wrong},
		} {
			if err := step.setup.Redeem(t.Context(), step.token, func() error { return nil }); err == nil || !strings.Contains(err.Error(), step.want) {
				t.Errorf("%s: %v, want %q", name, err, step.want)
			}
		}
		time.Sleep(setupLifetime)
		if err := fresh.Redeem(t.Context(), freshToken, func() error { return nil }); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("too late: %v", err)
		}
	})
}

func TestCheckPassword(t *testing.T) {
	for password, ok := range map[string]bool{
		goodPassword: true, "contraseña año": true, "dfgsd8s7df6g": true,
		"": false, "qwertz7": false, "elevenchars": false, "aaaaaaaaaaaaaaa": false,
		strings.Repeat("ab", 600): false, "bad \xff\xff text here": false,
	} {
		err := checkPassword(password)
		if (err == nil) != ok {
			t.Errorf("%q: %v", password, err)
		}
		if err != nil && password != "" && strings.Contains(err.Error(), password) {
			t.Errorf("the error repeats the password: %v", err)
		}
	}
}
