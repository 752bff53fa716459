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
	"sync/atomic"
	"time"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// Store keeps logins, tokens and the hashes of passwords. What is not there is
// ownline.ErrNotFound.
type Store interface {
	Credentials(ctx context.Context, name string) (ownline.User, string, error)
	Password(ctx context.Context, user ownline.UserID) (ownline.User, string, error)
	// ReplacePassword is ownline.ErrConflict when the hash is not was any more.
	ReplacePassword(ctx context.Context, user ownline.UserID, was, hash string, mustChange bool) error
	loginRows
	tokenRows
	factorRows
	passkeyRows

	// Seal seals for a purpose what a client carries from one step to the next; Unseal is
	// an error for what was not sealed for that. Spend is ownline.ErrConflict the second
	// time.
	Seal(ctx context.Context, text []byte, purpose string) (string, error)
	Unseal(ctx context.Context, sealed, purpose string) ([]byte, error)
	Spend(ctx context.Context, hash []byte, expires time.Time) error

	Audit(ctx context.Context, e ownline.AuditEntry) error
	Setting(ctx context.Context, key string) (string, error)
	SetSetting(ctx context.Context, key, value string) error
}

// Logins are browsers that are signed in, by the hash of their cookie.
type loginRows interface {
	AddLogin(ctx context.Context, l ownline.Login, hash []byte) error
	// Login returns only those that are valid at now, of users who are not disabled.
	Login(ctx context.Context, hash []byte, now time.Time) (ownline.Login, ownline.User, error)
	Logins(ctx context.Context, q ownline.LoginQuery, now time.Time) ([]ownline.LoginInfo, string, error)
	// LoginOf returns the user of a login of theirs, as Login does, by its identifier.
	LoginOf(ctx context.Context, user ownline.UserID, id ownline.LoginID, now time.Time) (ownline.User, error)
	TouchLogin(ctx context.Context, id ownline.LoginID, seen, until time.Time) error
	DeleteLogin(ctx context.Context, user ownline.UserID, id ownline.LoginID) error // zero user: anybody's
	SignOutOthers(ctx context.Context, user ownline.UserID, keep ownline.LoginID, tokens bool, keepToken ownline.TokenID) (int, error)
	// LoginsEnded counts how often logins or tokens were ended, by whatever process.
	LoginsEnded(ctx context.Context) (int64, error)

	AddAttempt(ctx context.Context, a ownline.LoginAttempt) error
	Attempts(ctx context.Context, q ownline.AttemptQuery) ([]ownline.LoginAttempt, string, error)
}

// Bearer tokens are kept by the hash of their value. Token returns only those that are
// valid at now, of users who are not disabled.
type tokenRows interface {
	AddToken(ctx context.Context, t ownline.Token, hash []byte) error
	Token(ctx context.Context, hash []byte, now time.Time) (ownline.Token, ownline.User, error)
	// Tokens lists a user's tokens; zero: everybody's.
	Tokens(ctx context.Context, p ownline.Page, user ownline.UserID) ([]ownline.TokenInfo, string, error)
	TouchToken(ctx context.Context, id ownline.TokenID, now time.Time) error
	// DeleteToken forgets a token of the user's; zero: of anybody's.
	DeleteToken(ctx context.Context, user ownline.UserID, id ownline.TokenID) error
}

// Second factors: an app's secret, and recovery codes by their hashes.
type factorRows interface {
	TOTP(ctx context.Context, user ownline.UserID) (ownline.TOTP, error)
	OfferTOTP(ctx context.Context, user ownline.UserID, secret ownline.Secret, now time.Time) error
	ConfirmTOTP(ctx context.Context, user ownline.UserID, created time.Time, step int64, codes [][]byte) error
	UseStep(ctx context.Context, user ownline.UserID, step int64) (bool, error) // false: used already
	RemoveTOTP(ctx context.Context, user ownline.UserID) error
	SetRecoveryCodes(ctx context.Context, user ownline.UserID, codes [][]byte) error
	UseRecoveryCode(ctx context.Context, user ownline.UserID, hash []byte) (bool, error) // false: there is none
	CountRecoveryCodes(ctx context.Context, user ownline.UserID) (int, error)
}

type passkeyRows interface {
	AddPasskey(ctx context.Context, p ownline.Passkey, limit int) error
	Passkeys(ctx context.Context, user ownline.UserID) ([]ownline.Passkey, error)
	RenamePasskey(ctx context.Context, user ownline.UserID, p ownline.PasskeyID, name string) error
	UsePasskey(ctx context.Context, p ownline.Passkey) error
	DeletePasskey(ctx context.Context, user ownline.UserID, p ownline.PasskeyID) error
}

// Reporter is told of every try to sign in when it is over. It must not block.
type Reporter interface {
	LoginTried(a ownline.LoginAttempt)
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

	touchEvery = 10 * time.Minute
)

// Options are what an Auth is made of.
type Options struct {
	Store          Store
	Passwords      *Passwords
	TrustedProxies []netip.Prefix // whose word counts for where requests come from
	PublicURL      string         // of the pages, which passkeys are bound to; "": no passkeys
	Reporter       Reporter       // nil: nobody is told
	Log            *slog.Logger
}

// Auth finds out who asks. Safe for concurrent use.
type Auth struct {
	store     Store
	passwords *Passwords
	trusted   []netip.Prefix
	party     party
	reporter  Reporter
	throttle  throttle
	ended     bell                      // rung when logins or tokens have ended
	untouched atomic.Pointer[time.Time] // when it was last logged that a use can't be written down
	log       *slog.Logger
}

// New makes an Auth.
func New(o Options) *Auth {
	return &Auth{
		store: o.Store, passwords: o.Passwords, trusted: o.TrustedProxies, party: newParty(o.PublicURL),
		reporter: o.Reporter, log: o.Log,
	}
}

// Identity is who sent a request, and from where. The zero Identity is nobody.
type Identity struct {
	User   ownline.User
	Login  ownline.LoginID     // signed in by cookie
	Method ownline.LoginMethod // of the login
	Token  ownline.TokenID     // or by bearer token
	Scopes []string            // of the token; nil: not limited
	Client netip.Addr          // where the request came from; see clientAddr
	Agent  string              // what the client says that it is, cut short
	// Forwarded says that the request has passed a proxy that is not trusted: Client may be the proxy.
	Forwarded bool
	hash      []byte    // of the cookie or the token
	until     time.Time // when the token ends; zero: never
	began     time.Time // when the login did
	unused    time.Time // when the login ends, if it is not used before
}

// Known reports whether the request proved who sent it.
func (i Identity) Known() bool { return !i.User.ID.IsZero() }

// Until says when the token ends, or the login if it is not used before; zero: never.
func (i Identity) Until() time.Time {
	if i.Token.IsZero() {
		return i.unused
	}
	return i.until
}

// Identify finds out who sent a request. Nobody in particular is no error: a cookie or
// token that is not (or no longer) valid is the same as none.
func (a *Auth) Identify(r *http.Request) (Identity, error) {
	id := Identity{Client: clientAddr(r, a.trusted), Forwarded: forwarded(r, a.trusted), Agent: agent(r)}
	nobody := id
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
		return nobody, nil
	}
	return id, err
}

func (a *Auth) byToken(ctx context.Context, id *Identity) error {
	now := time.Now()
	t, user, err := a.store.Token(ctx, id.hash, now)
	if err != nil {
		return err
	}
	id.User, id.Token, id.Scopes, id.until = user, t.ID, t.Scopes, t.Expires
	if now.Sub(t.LastUsed) > touchEvery {
		a.touched(ctx, a.store.TouchToken(ctx, t.ID, now))
	}
	return nil
}

func (a *Auth) byLogin(ctx context.Context, id *Identity) error {
	now := time.Now()
	l, user, err := a.store.Login(ctx, id.hash, now)
	if err != nil {
		return err
	}
	id.User, id.Login, id.Method, id.began, id.unused = user, l.ID, l.Method, l.Created, l.Expires
	if now.Sub(l.Seen) > touchEvery { // not with every request
		id.unused = now.Add(loginLifetime)
		a.touched(ctx, a.store.TouchLogin(ctx, l.ID, now, id.unused))
	}
	return nil
}

// touched is told how the writing down of a use went. That it can't be, as when the disk is
// full, keeps nobody from reading; it is logged once a minute.
func (a *Auth) touched(ctx context.Context, err error) {
	if err == nil {
		return
	}
	now := time.Now()
	if last := a.untouched.Load(); last != nil && now.Sub(*last) < tellEvery {
		return
	}
	a.untouched.Store(&now)
	a.log.WarnContext(ctx, "the use of a login or token can't be written down", logging.Err, err)
}

// Ended returns a channel that is closed when logins or tokens, whosever, are ended by somebody:
// what was let in by one has to Recheck then. Those that run out by themselves close nothing. Of
// what other processes end it tells while Follow runs.
func (a *Auth) Ended() <-chan struct{} { return a.ended.wait() }

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

// audit records what was done by whom; whoever has just given a password counts as a login.
func (a *Auth) audit(ctx context.Context, id Identity, action, subject string, detail ...string) error {
	by := "login"
	if !id.Token.IsZero() {
		by = "token"
	}
	return a.store.Audit(ctx, ownline.AuditEntry{At: time.Now(), Actor: id.User.ID, By: by, Client: id.Client, Action: action, Subject: subject, Detail: strings.Join(detail, " ")})
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
