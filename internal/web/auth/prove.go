package auth

import (
	"context"
	"errors"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// freshFor is how long after signing in nobody is asked again who they are.
const freshFor = 15 * time.Minute

// prove makes sure that it is the user who asks, and not somebody who found their browser
// open or their token: by the password, by a code, or, where that will do, by having signed
// in just now.
func (a *Auth) prove(ctx context.Context, id Identity, password string, code Code, freshWillDo bool) error {
	switch {
	case password != "":
		_, err := a.ownPassword(ctx, id, "password", password)
		return err
	case !code.empty():
		f, on, err := a.enrolled(ctx, id.User.ID)
		if err != nil {
			return err
		}
		if !on {
			return ownline.Invalid(code.field(), "is of no use: there is no second factor; give the password")
		}
		err = a.secondFactor(ctx, id.User, f, code, id, true)
		if errors.Is(err, ownline.ErrUnauthorized) {
			return ownline.Forbidden(code.field(), "is not right")
		}
		return err
	case freshWillDo && !id.Login.IsZero() && time.Since(id.began) < freshFor:
		return nil
	}
	return ownline.Forbidden("password", "is needed for this")
}

// ownPassword checks the password of whoever asks, and returns its hash.
func (a *Auth) ownPassword(ctx context.Context, id Identity, field, password string) (string, error) {
	_, hash, err := a.store.Password(ctx, id.User.ID)
	if err != nil {
		return "", err
	}
	try, err := a.throttle.enter(ctx, id.User.Name, id.Client, true)
	if err != nil {
		return "", err
	}
	defer try.wrong()
	ok, err := a.passwords.match(ctx, password, hash, true)
	if err != nil {
		return "", err
	}
	if !ok {
		a.guessed(ctx, try, id.User.ID, id.User.Name, id)
		return "", ownline.Forbidden(field, "is not right")
	}
	try.right()
	return hash, nil
}

// ChangePassword replaces the password of whoever asks, who has to know the present one,
// and signs them out everywhere else; their tokens, too, if told so.
func (a *Auth) ChangePassword(ctx context.Context, id Identity, present, next string, tokens bool) error {
	was, err := a.ownPassword(ctx, id, "current", present)
	if err != nil {
		return err
	}
	if next == present {
		return ownline.Invalid("password", "is the present one")
	}
	hash, err := a.passwords.Hash(next)
	if err != nil {
		return err
	}
	if err := a.store.ReplacePassword(ctx, id.User.ID, was, hash, false); err != nil {
		return err
	}
	if err := a.audit(ctx, id, "password.change", id.User.ID.String()); err != nil {
		return err
	}
	_, err = a.store.SignOutOthers(ctx, id.User.ID, id.Login, tokens, id.Token)
	a.ended.ring()
	return err
}
