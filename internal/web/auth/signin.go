package auth

import (
	"context"
	"errors"
	"time"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// Check finds the user with that name and password. It slows guessing down: see throttle.
// Every wrong pair gives the same error, after the same work.
func (a *Auth) Check(ctx context.Context, name, password string, from Identity) (ownline.User, error) {
	user, hash, err := a.store.Credentials(ctx, name)
	if err != nil && !errors.Is(err, ownline.ErrNotFound) {
		return ownline.User{}, err
	}
	known, err := a.cameFrom(ctx, user.ID, from.Client)
	if err != nil {
		return ownline.User{}, err
	}
	if err := a.throttle.enter(ctx, name, from.Client, known); err != nil {
		if errors.Is(err, ownline.ErrThrottled) {
			a.throttled(ctx, user, ownline.ByPassword, from)
		}
		return ownline.User{}, err
	}
	ok, err := a.passwords.match(ctx, password, hash, known)
	if err != nil {
		return ownline.User{}, err
	}
	if !ok || user.Disabled {
		a.tried(ctx, user, ownline.ByPassword, ownline.WrongPassword, 1, from)
		a.guessed(ctx, user.ID, name, from)
		return ownline.User{}, &ownline.FieldError{Kind: ownline.ErrUnauthorized, Detail: "name or password is not right"}
	}
	a.throttle.succeeded(name, from.Client, known)
	if !known {
		err = a.remember(ctx, user.ID, from.Client)
	}
	return user, err
}

// guessed reports guessing, without a line for every guess and without what was typed where
// the name belongs: people type their password there.
func (a *Auth) guessed(ctx context.Context, user ownline.UserID, name string, from Identity) {
	if !a.throttle.suspicious(name, from.Client) {
		return
	}
	who := "unknown"
	if !user.IsZero() {
		who = name
	}
	a.log.WarnContext(ctx, "somebody guesses passwords", logging.User, who, logging.Source, from.Client)
	err := a.store.Audit(ctx, ownline.AuditEntry{
		At: time.Now(), Client: from.Client, By: "login", Action: "auth.guessing", Subject: who,
		Detail: "many wrong passwords; tries are slowed down",
	})
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

// throttled is tried for one that was refused unseen. Such tries cost whoever makes them
// nothing, so they are counted and written down once a minute.
func (a *Auth) throttled(ctx context.Context, user ownline.User, method ownline.LoginMethod, from Identity) {
	if n := a.throttle.refused(user.Name, from.Client); n > 0 {
		a.tried(ctx, user, method, ownline.Throttled, n, from)
	}
}
