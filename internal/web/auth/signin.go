package auth

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// Check finds the user with that name and password and returns how they have proved who
// they are. It slows guessing down: see throttle. Every wrong pair gives the same error,
// after the same work (but for a user whose hash came from elsewhere, until they sign in).
// A user with a second factor needs a code, too: without one the error is a
// *SecondFactorError, which opens the way to CheckSecond.
func (a *Auth) Check(ctx context.Context, name, password string, code Code, from Identity) (ownline.User, ownline.LoginMethod, error) {
	user, hash, err := a.store.Credentials(ctx, name)
	if err != nil && !errors.Is(err, ownline.ErrNotFound) {
		return ownline.User{}, "", err
	}
	known, err := a.cameFrom(ctx, user.ID, from.Client)
	if err != nil {
		return ownline.User{}, "", err
	}
	try, err := a.throttle.enter(ctx, name, from.Client, known)
	if err != nil {
		return ownline.User{}, "", a.slowedDown(ctx, err, user, ownline.ByPassword, from)
	}
	defer try.wrong()
	ok, err := a.passwords.match(ctx, password, hash, known)
	if err != nil {
		return ownline.User{}, "", err
	}
	if !ok || user.Disabled {
		a.tried(ctx, user, ownline.ByPassword, ownline.WrongPassword, 1, from)
		a.guessed(ctx, try, user.ID, name, from)
		return ownline.User{}, "", &ownline.FieldError{Kind: ownline.ErrUnauthorized, Detail: "name or password is not right"}
	}
	try.right()
	if isForeign(hash) {
		if user.MustChange, err = a.upgrade(ctx, user, password, hash); err != nil {
			return ownline.User{}, "", err
		}
	}
	method := ownline.ByPassword
	f, on, err := a.enrolled(ctx, user.ID)
	switch {
	case err != nil:
		return ownline.User{}, "", err
	case on && code.empty():
		err := a.challenge(ctx, user, from)
		return ownline.User{}, "", err
	case on:
		if err := a.secondFactor(ctx, user, f, code, from, known); err != nil {
			return ownline.User{}, "", err
		}
		method = code.method()
	}
	return user, method, a.remember(ctx, user.ID, from.Client)
}

// upgrade replaces a hash that came from elsewhere, now that the password is known. One
// that would not be taken today must be changed.
func (a *Auth) upgrade(ctx context.Context, user ownline.User, password, was string) (mustChange bool, err error) {
	mustChange = user.MustChange || checkPassword(password) != nil
	hash, err := a.passwords.hash(password)
	if err != nil {
		return mustChange, err
	}
	err = a.store.ReplacePassword(ctx, user.ID, was, hash, mustChange)
	if errors.Is(err, ownline.ErrConflict) {
		err = nil // a login at the same moment was faster
	}
	return mustChange, err
}

// challenge asks for the second factor.
func (a *Auth) challenge(ctx context.Context, user ownline.User, from Identity) error {
	value, err := a.issue(ctx, ticket{User: user.ID, Second: true}, forSecond, from)
	if err != nil {
		return err
	}
	e := &SecondFactorError{Challenge: value, Factors: []string{string(ownline.ByTOTP), string(ownline.ByRecovery)}}
	if ps, err := a.store.Passkeys(ctx, user.ID); err != nil {
		return err
	} else if len(ps) > 0 && a.PasskeysOff() == nil {
		e.Factors = append(e.Factors, string(ownline.ByPasskey))
	}
	return e
}

// CheckSecond finds the user whom Check asked for a second factor, by a code.
func (a *Auth) CheckSecond(ctx context.Context, challenge string, code Code, from Identity) (ownline.User, ownline.LoginMethod, error) {
	t, err := a.redeem(ctx, challenge, forSecond, from)
	if err != nil {
		return ownline.User{}, "", err
	}
	user, _, err := a.store.Password(ctx, t.User)
	if err != nil || user.Disabled {
		return ownline.User{}, "", errors.Join(ownline.ErrUnauthorized, err)
	}
	known, err := a.cameFrom(ctx, user.ID, from.Client)
	if err != nil {
		return ownline.User{}, "", err
	}
	f, on, err := a.enrolled(ctx, user.ID)
	if err != nil {
		return ownline.User{}, "", err
	}
	if !on {
		return ownline.User{}, "", ownline.Forbidden("challenge", "is of no use any more; begin again")
	}
	if err := a.secondFactor(ctx, user, f, code, from, known); err != nil {
		return ownline.User{}, "", err
	}
	if err := a.spend(ctx, t); err != nil {
		return ownline.User{}, "", err
	}
	return user, code.method(), a.remember(ctx, user.ID, from.Client)
}

// secondFactor checks a code and uses it up. Whoever guesses here knows the password
// already.
func (a *Auth) secondFactor(ctx context.Context, user ownline.User, f ownline.TOTP, code Code, from Identity, known bool) error {
	if code.empty() {
		return ownline.Invalid("otp", "is needed, or a recovery code")
	}
	try, err := a.throttle.enterCode(ctx, user.Name, from.Client, known)
	if err != nil {
		return a.slowedDown(ctx, err, user, code.method(), from)
	}
	defer try.wrong()
	ok, err := a.useCode(ctx, user.ID, f, code)
	if err != nil {
		return err
	}
	if !ok {
		a.tried(ctx, user, code.method(), ownline.WrongCode, 1, from)
		a.guessedCode(ctx, try, user, from)
		return &ownline.FieldError{Kind: ownline.ErrUnauthorized, Field: code.field(), Detail: "is not right, or was used already"}
	}
	try.right()
	return nil
}

// guessed ends a wrong try and reports guessing, without a line for every guess and without
// what was typed where the name belongs: people type their password there.
func (a *Auth) guessed(ctx context.Context, wrong *try, user ownline.UserID, name string, from Identity) {
	if !wrong.wrong() {
		return
	}
	who := "unknown"
	if !user.IsZero() {
		who = name
	}
	a.log.WarnContext(ctx, "somebody guesses passwords", logging.User, who, logging.Source, from.Client)
	a.auditGuessing(ctx, "login", who, "many wrong passwords; tries are slowed down", from.Client)
}

// guessedCode is guessed for codes.
func (a *Auth) guessedCode(ctx context.Context, wrong *try, user ownline.User, from Identity) {
	if !wrong.wrong() {
		return
	}
	a.log.WarnContext(ctx, "somebody who knows the password guesses codes", logging.User, user.Name, logging.Source, from.Client)
	a.auditGuessing(ctx, "login", user.Name, "many wrong codes after the right password, which should be changed; tries are slowed down", from.Client)
}

func (a *Auth) auditGuessing(ctx context.Context, by, who, detail string, from netip.Addr) {
	err := a.store.Audit(ctx, ownline.AuditEntry{At: time.Now(), Client: from, By: by, Action: "auth.guessing", Subject: who, Detail: detail})
	if err != nil {
		a.log.ErrorContext(ctx, "the audit log can't be written", logging.Err, err)
	}
}

// StartLogin signs a browser in for a user whom method has proved, and returns the value of
// its cookie. from is the request that asked for it. A disabled user is refused.
func (a *Auth) StartLogin(ctx context.Context, user ownline.User, method ownline.LoginMethod, from Identity) (string, error) {
	if user.Disabled {
		a.Refuse(ctx, user, method, from)
		return "", ownline.Forbidden("", "this user may not sign in")
	}
	now := time.Now()
	value, hash := newValue("")
	l := ownline.Login{
		ID: ownline.NewID[ownline.Login](), User: user.ID, Method: method, Client: from.Client, Agent: from.Agent,
		Created: now, Seen: now, Expires: now.Add(loginLifetime),
	}
	if err := a.store.AddLogin(ctx, l, hash); err != nil {
		return "", err
	}
	a.tried(ctx, user, method, ownline.LoginOK, 1, from)
	return value, a.audit(ctx, Identity{User: user, Client: from.Client}, "login.start", l.ID.String())
}

// StartToken is StartLogin for what is no browser: it makes a bearer token.
func (a *Auth) StartToken(ctx context.Context, user ownline.User, method ownline.LoginMethod, from Identity, name string, scopes []string, expires time.Time) (ownline.Token, string, error) {
	t, value, err := a.AddToken(ctx, Identity{User: user, Client: from.Client}, name, scopes, expires, "", Code{})
	if err == nil {
		a.tried(ctx, user, method, ownline.LoginOK, 1, from)
	}
	return t, value, err
}

// Refuse records that somebody proved who they are, but may not sign in. A user who is not
// known here is zero.
func (a *Auth) Refuse(ctx context.Context, user ownline.User, method ownline.LoginMethod, from Identity) {
	a.tried(ctx, user, method, ownline.Refused, 1, from)
}

// EndLogin signs out what the request was signed in by: the browser, or the token.
func (a *Auth) EndLogin(ctx context.Context, id Identity) error {
	if !id.Token.IsZero() {
		return a.RemoveToken(ctx, id, id.User.ID, id.Token)
	}
	if err := a.store.DeleteLogin(ctx, id.User.ID, id.Login); err != nil && !errors.Is(err, ownline.ErrNotFound) {
		return err
	}
	a.ended.ring()
	return a.audit(ctx, id, "login.end", id.Login.String())
}

// tried remembers tries to sign in and tells the reporter. That a try can't be written down
// does not change how it went.
func (a *Auth) tried(ctx context.Context, user ownline.User, method ownline.LoginMethod, result ownline.LoginResult, count int, from Identity) {
	now := time.Now()
	t := ownline.LoginAttempt{
		ID: ownline.NewID[ownline.LoginAttempt](), User: user.ID, UserName: user.Name, At: now, Latest: now, Count: count,
		Method: method, Result: result, Client: from.Client, Place: neighbourhood(from.Client), Agent: from.Agent,
	}
	if err := a.store.AddAttempt(ctx, t); err != nil {
		a.log.ErrorContext(ctx, "a try to sign in can't be written down", logging.Err, err)
	}
	if a.reporter != nil {
		a.reporter.LoginTried(t)
	}
}

// slowedDown is tried for one that the throttle refused unseen by err, which it returns.
// Such tries cost whoever makes them nothing, so they are counted and written down once a
// minute.
func (a *Auth) slowedDown(ctx context.Context, err error, user ownline.User, method ownline.LoginMethod, from Identity) error {
	if errors.Is(err, ownline.ErrThrottled) {
		if n := a.throttle.refused(user.Name, from.Client); n > 0 {
			a.tried(ctx, user, method, ownline.Throttled, n, from)
		}
	}
	return err
}
