package store

import (
	"context"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// Linked returns the user who is linked with the subject of an identity provider.
func (t *Tx) Linked(issuer, subject string) (ownline.User, error) {
	return first(t, "user", subject, scanUser, "SELECT "+userColumns+` FROM oidc_links l JOIN users u ON u.id = l.user_id
		WHERE l.issuer = ? AND l.subject = ? AND u.removed = 0`, issuer, subject)
}

// CountLinks counts the subjects of an identity provider that a user is linked with.
func (t *Tx) CountLinks(u ownline.UserID, issuer string) (n int, err error) {
	err = t.one("SELECT count(*) FROM oidc_links WHERE user_id = ? AND issuer = ?", []any{u.String(), issuer}, &n)
	return n, err
}

// Link links a user with a subject that nobody is linked with.
func (t *Tx) Link(u ownline.UserID, issuer, subject string, now time.Time) error {
	err := t.exec("INSERT INTO oidc_links (issuer, subject, user_id, created) VALUES (?, ?, ?, ?)", issuer, subject, u.String(), ms(now))
	return t.taken(err, "", "another user is linked already")
}

// Links returns the issuers of the identity providers that a user is linked with.
func (t *Tx) Links(u ownline.UserID) ([]ownline.ExternalLink, error) {
	return all(t, func(scan scanner) (l ownline.ExternalLink, err error) {
		err = scan(&l.Issuer, when(&l.Created))
		return l, err
	}, "SELECT issuer, created FROM oidc_links WHERE user_id = ? ORDER BY created, issuer", u.String())
}

// Unlink ends all links of a user. The last way to sign in is ErrConflict.
func (t *Tx) Unlink(u ownline.UserID) error {
	if err := t.exec("DELETE FROM oidc_links WHERE user_id = ?", u.String()); err != nil {
		return err
	}
	return t.keepWay(u)
}

// LoginOf returns the user of a login that is valid at now, by its identifier and user's.
func (s *Store) LoginOf(ctx context.Context, user ownline.UserID, login ownline.LoginID, now time.Time) (u ownline.User, err error) {
	err = s.Read(ctx, func(t *Tx) error {
		u, err = first(t, "login", "", scanUser, "SELECT "+userColumns+` FROM logins l JOIN users u ON u.id = l.user_id
			WHERE l.id = ? AND l.user_id = ? AND l.expires > ? AND u.disabled = 0 AND u.removed = 0`, login.String(), user.String(), ms(now))
		return err
	})
	return u, err
}

// Seal seals a text that leaves this server for a while, so that only this web can read it:
// as long as its secret key is the same.
func (s *Store) Seal(ctx context.Context, text []byte, purpose string) (sealed string, err error) {
	err = s.Read(ctx, func(t *Tx) error {
		b, err := t.box()
		if err == nil {
			sealed = b.sealText(text, "outside/"+purpose)
		}
		return err
	})
	return sealed, err
}

// Unseal reads what Seal sealed for the same purpose.
func (s *Store) Unseal(ctx context.Context, sealed, purpose string) (text []byte, err error) {
	err = s.Read(ctx, func(t *Tx) error {
		b, err := t.box()
		if err == nil {
			text, err = b.openText(sealed, "outside/"+purpose)
		}
		return err
	})
	return text, err
}
