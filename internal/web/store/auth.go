package store

import (
	"context"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// Credentials returns a user by name and the hash of their password. A name nobody has is
// ErrNotFound.
func (s *Store) Credentials(ctx context.Context, name string) (u ownline.User, hash string, err error) {
	err = s.Read(ctx, func(t *Tx) error {
		u, err = first(t, "user", name, func(scan scanner) (u ownline.User, err error) {
			err = scan(append(userDest(&u), &hash)...)
			return u, err
		}, "SELECT "+userColumns+", u.password FROM users u WHERE u.name = ? AND u.removed = 0", name)
		return err
	})
	return u, hash, err
}

// CountUsers returns how many users there are: 0 means that web has not been set up.
func (s *Store) CountUsers(ctx context.Context) (n int, err error) {
	err = s.Read(ctx, func(t *Tx) error {
		return t.one("SELECT count(*) FROM users WHERE removed = 0", nil, &n)
	})
	return n, err
}

// AddToken keeps a token under the hash of its value.
func (s *Store) AddToken(ctx context.Context, k ownline.Token, hash []byte) error {
	return s.Write(ctx, func(t *Tx) error {
		return t.exec("INSERT INTO tokens (id, user_id, name, scopes, hash, created, expires, last_used) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			k.ID.String(), k.User.String(), k.Name, strings.Join(k.Scopes, " "), hash, ms(k.Created), ms(k.Expires), ms(k.LastUsed))
	})
}

const tokenColumns = "k.id, k.user_id, k.name, k.scopes, k.created, k.expires, k.last_used"

func tokenDest(k *ownline.Token) []any {
	word := func(s string) (string, error) { return s, nil }
	return []any{id(&k.ID), id(&k.User), &k.Name, list(&k.Scopes, word), when(&k.Created), when(&k.Expires), when(&k.LastUsed)}
}

// Token returns the token with that hash and its user, or ErrNotFound when there is none
// that is valid at now or the user is disabled.
func (s *Store) Token(ctx context.Context, hash []byte, now time.Time) (k ownline.Token, u ownline.User, err error) {
	err = s.Read(ctx, func(t *Tx) error {
		k, err = first(t, "token", "", func(scan scanner) (k ownline.Token, err error) {
			err = scan(append(tokenDest(&k), userDest(&u)...)...)
			return k, err
		}, "SELECT "+tokenColumns+", "+userColumns+` FROM tokens k JOIN users u ON u.id = k.user_id
			WHERE k.hash = ? AND (k.expires = 0 OR k.expires > ?) AND u.disabled = 0 AND u.removed = 0`, hash, ms(now))
		return err
	})
	return k, u, err
}

// Tokens lists a user's tokens (zero: everybody's), oldest first.
func (s *Store) Tokens(ctx context.Context, p ownline.Page, user ownline.UserID) (ks []ownline.TokenInfo, next string, err error) {
	limit, after, err := page(p)
	if err != nil {
		return nil, "", err
	}
	q, args := "SELECT "+tokenColumns+", u.name FROM tokens k JOIN users u ON u.id = k.user_id WHERE k.id > ?", []any{after}
	if !user.IsZero() {
		q, args = q+" AND k.user_id = ?", append(args, user.String())
	}
	err = s.Read(ctx, func(t *Tx) error {
		ks, err = all(t, func(scan scanner) (k ownline.TokenInfo, err error) {
			err = scan(append(tokenDest(&k.Token), &k.UserName)...)
			return k, err
		}, q+" ORDER BY k.id LIMIT ?", append(args, limit+1)...)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	ks, next = turn(ks, limit, func(k ownline.TokenInfo) string { return k.ID.String() })
	return ks, next, nil
}

// TouchToken records that a token was used.
func (s *Store) TouchToken(ctx context.Context, k ownline.TokenID, now time.Time) error {
	return s.Write(ctx, func(t *Tx) error {
		return t.exec("UPDATE tokens SET last_used = ? WHERE id = ?", ms(now), k.String())
	})
}

// DeleteToken forgets a token of that user's; another's is ErrNotFound. The zero user stands
// for everybody.
func (s *Store) DeleteToken(ctx context.Context, user ownline.UserID, k ownline.TokenID) error {
	return s.Write(ctx, func(t *Tx) error {
		q, args := "DELETE FROM tokens WHERE id = ?", []any{k.String()}
		if !user.IsZero() {
			q, args = q+" AND user_id = ?", append(args, user.String())
		}
		rows, err := t.c.exec(q, args...)
		if err == nil && rows == 0 {
			err = ownline.NotFound("token", k.String())
		}
		if err != nil {
			return err
		}
		return t.countEnded()
	})
}
