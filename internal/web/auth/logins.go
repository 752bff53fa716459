package auth

import (
	"context"
	"errors"
	"time"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// Logins lists those that live, the newest first.
func (a *Auth) Logins(ctx context.Context, q ownline.LoginQuery) ([]ownline.LoginInfo, string, error) {
	return a.store.Logins(ctx, q, time.Now())
}

// LoggedIn returns the user of a login that still counts, by its identifier; another user's
// is ownline.ErrUnauthorized.
func (a *Auth) LoggedIn(ctx context.Context, user ownline.UserID, login ownline.LoginID) (ownline.User, error) {
	u, err := a.store.LoginOf(ctx, user, login, time.Now())
	if errors.Is(err, ownline.ErrNotFound) {
		err = ownline.ErrUnauthorized
	}
	return u, err
}

// lookElsewhere is how soon it is known what another process has ended: a command on this machine, or
// another replica.
const lookElsewhere = 250 * time.Millisecond

// Follow looks for logins and tokens that other processes end until ctx ends, so that Ended tells of them.
func (a *Auth) Follow(ctx context.Context) error {
	tick := time.NewTicker(lookElsewhere)
	defer tick.Stop()
	known, failing := int64(-1), false // so that what was ended before the first look is not missed
	for {
		n, err := a.store.LoginsEnded(ctx)
		switch {
		case err == nil && n != known:
			known = n
			a.ended.ring()
		case err != nil && !failing && ctx.Err() == nil:
			a.log.WarnContext(ctx, "logins that other processes end can't be seen; trying again", logging.Err, err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Attempts lists tries to sign in, the newest first.
func (a *Auth) Attempts(ctx context.Context, q ownline.AttemptQuery) ([]ownline.LoginAttempt, string, error) {
	return a.store.Attempts(ctx, q)
}

// SignOut ends a login of a user's, or of anybody's when user is zero, for whoever asks.
func (a *Auth) SignOut(ctx context.Context, id Identity, user ownline.UserID, l ownline.LoginID) error {
	if err := a.store.DeleteLogin(ctx, user, l); err != nil {
		return err
	}
	a.ended.ring()
	return a.audit(ctx, id, "login.end", l.String())
}

// SignOutEverywhere ends a user's logins but the one that the request came with, and their
// tokens if told so, for whoever asks. It returns how many that were.
func (a *Auth) SignOutEverywhere(ctx context.Context, id Identity, user ownline.UserID, tokens bool) (int, error) {
	n, err := a.store.SignOutOthers(ctx, user, id.Login, tokens, id.Token)
	if err != nil {
		return 0, err
	}
	a.ended.ring()
	return n, a.audit(ctx, id, "login.end_all", user.String())
}
