package auth

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// memory is a small working store.
type memory struct {
	users    map[string]ownline.User
	hashes   map[string]string
	logins   map[string]ownline.Login
	tokens   map[string]ownline.Token
	settings map[string]string
	audit    []ownline.AuditEntry
}

func newMemory() *memory {
	return &memory{users: map[string]ownline.User{}, hashes: map[string]string{}, logins: map[string]ownline.Login{}, tokens: map[string]ownline.Token{}, settings: map[string]string{}}
}

func (m *memory) Credentials(_ context.Context, name string) (ownline.User, string, error) {
	if u, ok := m.users[name]; ok {
		return u, m.hashes[name], nil
	}
	return ownline.User{}, "", ownline.ErrNotFound
}

func (m *memory) CountUsers(context.Context) (int, error) { return len(m.users), nil }

func (m *memory) userOf(id ownline.UserID) (ownline.User, error) {
	for _, u := range m.users {
		if u.ID == id && !u.Disabled {
			return u, nil
		}
	}
	return ownline.User{}, ownline.ErrNotFound
}

func (m *memory) AddLogin(_ context.Context, l ownline.Login, hash []byte) error {
	m.logins[string(hash)] = l
	return nil
}

func (m *memory) Login(_ context.Context, hash []byte, now time.Time) (ownline.Login, ownline.User, error) {
	l, ok := m.logins[string(hash)]
	if !ok || !now.Before(l.Expires) {
		return l, ownline.User{}, ownline.ErrNotFound
	}
	u, err := m.userOf(l.User)
	return l, u, err
}

func (m *memory) ExtendLogin(_ context.Context, id ownline.LoginID, until time.Time) error {
	for h, l := range m.logins {
		if l.ID == id {
			l.Expires = until
			m.logins[h] = l
		}
	}
	return nil
}

func (m *memory) DeleteLogin(_ context.Context, id ownline.LoginID) error {
	for h, l := range m.logins {
		if l.ID == id {
			delete(m.logins, h)
		}
	}
	return nil
}

func (m *memory) AddToken(_ context.Context, t ownline.Token, hash []byte) error {
	m.tokens[string(hash)] = t
	return nil
}

func (m *memory) Token(_ context.Context, hash []byte, now time.Time) (ownline.Token, ownline.User, error) {
	t, ok := m.tokens[string(hash)]
	if !ok || !t.Expires.IsZero() && !now.Before(t.Expires) {
		return t, ownline.User{}, ownline.ErrNotFound
	}
	u, err := m.userOf(t.User)
	return t, u, err
}

func (m *memory) Tokens(context.Context, ownline.UserID) ([]ownline.Token, error) { return nil, nil }

func (m *memory) TouchToken(context.Context, ownline.TokenID, time.Time) error { return nil }

func (m *memory) DeleteToken(context.Context, ownline.UserID, ownline.TokenID) error { return nil }

func (m *memory) Setting(_ context.Context, key string) (string, error) { return m.settings[key], nil }

func (m *memory) SetSetting(_ context.Context, key, value string) error {
	m.settings[key] = value
	return nil
}

func (m *memory) Audit(_ context.Context, e ownline.AuditEntry) error {
	m.audit = append(m.audit, e)
	return nil
}

const goodPassword = "four words are enough"

func newAuth(t *testing.T) (*Auth, *memory, ownline.User) {
	t.Helper()
	m := newMemory()
	p := CheapPasswords()
	hash, err := p.Hash(goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	ana := ownline.User{ID: ownline.NewID[ownline.User](), Name: "ana", Role: ownline.Person}
	m.users["ana"], m.hashes["ana"] = ana, hash
	return New(m, p, nil, slog.New(slog.NewTextHandler(io.Discard, nil))), m, ana
}

func TestCheck(t *testing.T) {
	a, m, ana := newAuth(t)
	disabled := ownline.User{ID: ownline.NewID[ownline.User](), Name: "gone", Disabled: true}
	m.users["gone"], m.hashes["gone"] = disabled, m.hashes["ana"]
	u, err := a.Check(t.Context(), "ana", goodPassword, home)
	if err != nil || u.ID != ana.ID {
		t.Fatalf("got %v, %v", u, err)
	}
	if known, _ := a.cameFrom(t.Context(), ana.ID, home); !known {
		t.Error("home is not known after signing in there")
	}
	var first string
	for i, try := range [][2]string{{"ana", "wrong"}, {"nobody", goodPassword}, {"nobody", "nobody's password"}, {"gone", goodPassword}, {"", ""}, {"ana", strings.Repeat("x", 5000)}} {
		_, err := a.Check(t.Context(), try[0], try[1], netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
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
	p.dummy()
	took := func(hash string) time.Duration {
		best := time.Hour
		for range 3 {
			start := time.Now()
			if ok, err := p.match(t.Context(), "wrong", hash, false); ok || err != nil {
				t.Fatal(ok, err)
			}
			best = min(best, time.Since(start))
		}
		return best
	}
	wrong, unknown := took(hash), took("")
	if unknown < wrong/2 || unknown > wrong*2 {
		t.Errorf("wrong password %s, unknown name %s", wrong, unknown)
	}
	t.Logf("a comparison takes %s", wrong)
}

// Invariant 9: guessing is throttled and reported; the report does not repeat what was
// typed as a name that nobody has.
func TestGuessingIsReported(t *testing.T) {
	a, m, _ := newAuth(t)
	var log strings.Builder
	a.log = slog.New(slog.NewTextHandler(&log, nil))
	for range freeTries {
		_, _ = a.Check(t.Context(), "my secret password", "x", stranger)
	}
	_, err := a.Check(t.Context(), "my secret password", "x", stranger)
	if !errors.Is(err, ownline.ErrThrottled) {
		t.Errorf("got %v", err)
	}
	if len(m.audit) != 1 || m.audit[0].Action != "auth.guessing" || !strings.Contains(log.String(), "guesses") || strings.Contains(log.String(), "secret") {
		t.Errorf("audit %+v, log %s", m.audit, &log)
	}
}

func request(header, value string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set(header, value)
	return r
}

func TestLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, m, ana := newAuth(t)
		value, err := a.StartLogin(t.Context(), ana, home)
		if err != nil {
			t.Fatal(err)
		}
		for hash := range m.logins {
			if strings.Contains(value, hash) || len(hash) != 32 {
				t.Error("the value itself is kept")
			}
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
		value, _ = a.StartLogin(t.Context(), ana, home)
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
		a, m, ana := newAuth(t)
		tok, value, err := a.AddToken(t.Context(), Identity{User: ana, Client: home}, "laptop", []string{"full"}, time.Now().Add(time.Hour))
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
		for i, want := range []string{"login token.add", "token token.remove"} {
			if got := m.audit[i].By + " " + m.audit[i].Action; got != want {
				t.Errorf("audit has %q, want %q", got, want)
			}
		}
	})
}

func TestSetup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
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
		m.users["ana"] = ownline.User{}
		if s.Redeem(t.Context(), token, func() error { return nil }) == nil {
			t.Error("a second first admin was made")
		}
		if (*Setup)(nil).Redeem(t.Context(), token, func() error { return nil }) == nil {
			t.Error("no setup was redeemed")
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
