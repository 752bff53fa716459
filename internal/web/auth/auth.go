package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// Store keeps logins, tokens and the hashes of passwords. What is not there is
// ownline.ErrNotFound.
type Store interface {
	Credentials(ctx context.Context, name string) (ownline.User, string, error)

	// Logins are browsers that are signed in, by the hash of their cookie. Login returns only
	// those that are valid at now, of users who are not disabled.
	AddLogin(ctx context.Context, l ownline.Login, hash []byte) error
	Login(ctx context.Context, hash []byte, now time.Time) (ownline.Login, ownline.User, error)
	ExtendLogin(ctx context.Context, id ownline.LoginID, until time.Time) error
	DeleteLogin(ctx context.Context, id ownline.LoginID) error

	// Bearer tokens are kept by the hash of their value. Token returns only those that are
	// valid at now, of users who are not disabled.
	AddToken(ctx context.Context, t ownline.Token, hash []byte) error
	Token(ctx context.Context, hash []byte, now time.Time) (ownline.Token, ownline.User, error)
	Tokens(ctx context.Context, user ownline.UserID) ([]ownline.Token, error)
	TouchToken(ctx context.Context, id ownline.TokenID, now time.Time) error
	DeleteToken(ctx context.Context, user ownline.UserID, id ownline.TokenID) error

	Audit(ctx context.Context, e ownline.AuditEntry) error
	Setting(ctx context.Context, key string) (string, error)
	SetSetting(ctx context.Context, key, value string) error
}

// Names and lifetimes of what proves who somebody is.
const (
	// CookieName begins with __Host-: browsers then take it only over TLS (or from
	// localhost), for the whole of this host and for no other (RFC 6265bis, section 4.1.3).
	CookieName = "__Host-ownline"
	// tokenPrefix begins every bearer token, so that scanners of leaked secrets know it.
	tokenPrefix = "own_"
	// loginLifetime is how long a browser stays signed in without being used.
	loginLifetime = 14 * 24 * time.Hour

	touchEvery = time.Minute
)

// Auth finds out who asks. Safe for concurrent use.
type Auth struct {
	store     Store
	passwords *Passwords
	trusted   []netip.Prefix
	throttle  throttle
	log       *slog.Logger
}

// New makes an Auth that takes the word of the given proxies for where requests come from.
func New(store Store, passwords *Passwords, trustedProxies []netip.Prefix, log *slog.Logger) *Auth {
	return &Auth{store: store, passwords: passwords, trusted: trustedProxies, log: log}
}

// Identity is who sent a request. The zero Identity is nobody.
type Identity struct {
	User   ownline.User
	Login  ownline.LoginID // signed in by cookie
	Token  ownline.TokenID // or by bearer token
	Scopes []string        // of the token; nil: not limited
	Client netip.Addr      // where the request came from; see clientAddr
	hash   []byte          // of the cookie or the token
}

// Known reports whether the request proved who sent it.
func (i Identity) Known() bool { return !i.User.ID.IsZero() }

// Identify finds out who sent a request. Nobody in particular is no error: a cookie or
// token that is not (or no longer) valid is the same as none.
func (a *Auth) Identify(r *http.Request) (Identity, error) {
	id := Identity{Client: clientAddr(r, a.trusted)}
	var err error
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, value, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") || !strings.HasPrefix(value, tokenPrefix) {
			return id, nil
		}
		id.hash = hashOf(value)
		err = a.byToken(r.Context(), &id)
	} else if c, cerr := r.Cookie(CookieName); cerr == nil && c.Value != "" {
		id.hash = hashOf(c.Value)
		err = a.byLogin(r.Context(), &id)
	}
	if errors.Is(err, ownline.ErrNotFound) {
		return Identity{Client: id.Client}, nil
	}
	return id, err
}

func (a *Auth) byToken(ctx context.Context, id *Identity) error {
	now := time.Now()
	t, user, err := a.store.Token(ctx, id.hash, now)
	if err != nil {
		return err
	}
	id.User, id.Token, id.Scopes = user, t.ID, t.Scopes
	if now.Sub(t.LastUsed) > touchEvery {
		return a.store.TouchToken(ctx, t.ID, now)
	}
	return nil
}

func (a *Auth) byLogin(ctx context.Context, id *Identity) error {
	now := time.Now()
	l, user, err := a.store.Login(ctx, id.hash, now)
	if err != nil {
		return err
	}
	id.User, id.Login = user, l.ID
	if l.Expires.Sub(now) < loginLifetime-touchEvery*60 { // not with every request
		return a.store.ExtendLogin(ctx, l.ID, now.Add(loginLifetime))
	}
	return nil
}

// Recheck returns the identity as it is now, with the user's present role. Signed out,
// expired or disabled meanwhile is ownline.ErrUnauthorized.
func (a *Auth) Recheck(ctx context.Context, id Identity) (Identity, error) {
	var err error
	switch {
	case !id.Token.IsZero():
		_, id.User, err = a.store.Token(ctx, id.hash, time.Now())
	case !id.Login.IsZero():
		_, id.User, err = a.store.Login(ctx, id.hash, time.Now())
	default:
		err = ownline.ErrNotFound
	}
	if errors.Is(err, ownline.ErrNotFound) {
		err = ownline.ErrUnauthorized
	}
	return id, err
}

// Check finds the user with that name and password. It slows guessing down: see throttle.
// Every wrong pair gives the same error, after the same work.
func (a *Auth) Check(ctx context.Context, name, password string, client netip.Addr) (ownline.User, error) {
	user, hash, err := a.store.Credentials(ctx, name)
	if err != nil && !errors.Is(err, ownline.ErrNotFound) {
		return ownline.User{}, err
	}
	known, err := a.cameFrom(ctx, user.ID, client)
	if err != nil {
		return ownline.User{}, err
	}
	if err := a.throttle.enter(ctx, name, client, known); err != nil {
		return ownline.User{}, err
	}
	ok, err := a.passwords.match(ctx, password, hash, known)
	if err != nil {
		return ownline.User{}, err
	}
	if !ok || user.Disabled {
		a.failed(ctx, user.ID, name, client)
		return ownline.User{}, &ownline.FieldError{Kind: ownline.ErrUnauthorized, Detail: "name or password is not right"}
	}
	a.throttle.succeeded(name, client, known)
	if !known {
		err = a.remember(ctx, user.ID, client)
	}
	return user, err
}

// failed reports guessing, without a line for every guess and without what was typed where
// the name belongs: people type their password there.
func (a *Auth) failed(ctx context.Context, user ownline.UserID, name string, client netip.Addr) {
	if !a.throttle.suspicious(name, client) {
		return
	}
	who := "unknown"
	if !user.IsZero() {
		who = name
	}
	a.log.Warn("somebody guesses passwords", logging.User, who, logging.Source, client)
	err := a.store.Audit(ctx, ownline.AuditEntry{
		At: time.Now(), Client: client, By: "login", Action: "auth.guessing", Subject: who,
		Detail: "many wrong passwords; tries are slowed down",
	})
	if err != nil {
		a.log.Error("the audit log can't be written", logging.Err, err)
	}
}

// StartLogin signs a browser in, and returns the value of its cookie.
func (a *Auth) StartLogin(ctx context.Context, user ownline.User, client netip.Addr) (string, error) {
	now := time.Now()
	value, hash := newValue("")
	l := ownline.Login{ID: ownline.NewID[ownline.Login](), User: user.ID, Created: now, Expires: now.Add(loginLifetime)}
	if err := a.store.AddLogin(ctx, l, hash); err != nil {
		return "", err
	}
	return value, a.audit(ctx, Identity{User: user, Client: client}, "login.start", l.ID.String())
}

// EndLogin signs out what the request was signed in by: the browser, or the token.
func (a *Auth) EndLogin(ctx context.Context, id Identity) error {
	if !id.Token.IsZero() {
		return a.RemoveToken(ctx, id, id.Token)
	}
	if err := a.store.DeleteLogin(ctx, id.Login); err != nil && !errors.Is(err, ownline.ErrNotFound) {
		return err
	}
	return a.audit(ctx, id, "login.end", id.Login.String())
}

// audit records what was done by whom; whoever has just given a password counts as a login.
func (a *Auth) audit(ctx context.Context, id Identity, action, subject string) error {
	by := "login"
	if !id.Token.IsZero() {
		by = "token"
	}
	return a.store.Audit(ctx, ownline.AuditEntry{At: time.Now(), Actor: id.User.ID, By: by, Client: id.Client, Action: action, Subject: subject})
}

// newValue makes 32 random bytes to hand out and their hash to keep.
func newValue(prefix string) (value string, hash []byte) {
	b := make([]byte, 32)
	rand.Read(b) // never fails: crypto/rand crashes the program instead
	value = prefix + base64.RawURLEncoding.EncodeToString(b)
	return value, hashOf(value)
}

func hashOf(value string) []byte {
	sum := sha256.Sum256([]byte(value))
	return sum[:]
}
