package store

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// How much is remembered, so that neither a stranger nor a script that signs in again and
// again fills the disk.
const (
	maxLogins   = 100           // of a user, the newest
	maxAttempts = 500           // of a user, the newest that failed and as many that did not
	foldWithin  = 6 * time.Hour // failures that are alike become one row
)

func addr(dst *netip.Addr) column {
	return func(src any) error {
		s, err := text(src)
		if err != nil || s == "" {
			*dst = netip.Addr{}
			return err
		}
		*dst, err = netip.ParseAddr(s)
		return err
	}
}

const loginColumns = "l.id, l.user_id, l.method, l.client, l.agent, l.created, l.seen, l.expires"

func loginDest(l *ownline.Login) []any {
	return []any{id(&l.ID), id(&l.User), &l.Method, addr(&l.Client), &l.Agent, when(&l.Created), when(&l.Seen), when(&l.Expires)}
}

// AddLogin keeps a login under the hash of its cookie, and forgets the user's oldest when
// there are too many.
func (s *Store) AddLogin(ctx context.Context, l ownline.Login, hash []byte) error {
	return s.Write(ctx, func(t *Tx) error {
		err := t.exec("INSERT INTO logins (id, user_id, hash, method, client, agent, created, seen, expires) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			l.ID.String(), l.User.String(), hash, string(l.Method), addrText(l.Client), l.Agent, ms(l.Created), ms(l.Seen), ms(l.Expires))
		if err != nil {
			return err
		}
		_, err = t.forgetLogins("l.user_id = ? AND l.id <= (SELECT id FROM logins WHERE user_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
			l.User.String(), l.User.String(), maxLogins)
		return err
	})
}

// Login returns the login with that hash and its user, or ErrNotFound when there is none
// that is valid at now or the user is disabled.
func (s *Store) Login(ctx context.Context, hash []byte, now time.Time) (l ownline.Login, u ownline.User, err error) {
	err = s.Read(ctx, func(t *Tx) error {
		l, err = first(t, "login", "", func(scan scanner) (l ownline.Login, err error) {
			err = scan(append(loginDest(&l), userDest(&u)...)...)
			return l, err
		}, "SELECT "+loginColumns+", "+userColumns+` FROM logins l JOIN users u ON u.id = l.user_id
			WHERE l.hash = ? AND l.expires > ? AND u.disabled = 0 AND u.removed = 0`, hash, ms(now))
		return err
	})
	return l, u, err
}

// Logins lists those that are valid at now, the newest first.
func (s *Store) Logins(ctx context.Context, q ownline.LoginQuery, now time.Time) (ls []ownline.LoginInfo, next string, err error) {
	limit, after, err := page(q.Page)
	if err != nil {
		return nil, "", err
	}
	where, args := "l.expires > ?", []any{ms(now)}
	if !q.User.IsZero() {
		where, args = where+" AND l.user_id = ?", append(args, q.User.String())
	}
	if after != "" {
		where, args = where+" AND l.id < ?", append(args, after)
	}
	err = s.Read(ctx, func(t *Tx) error {
		ls, err = all(t, func(scan scanner) (l ownline.LoginInfo, err error) {
			err = scan(append(loginDest(&l.Login), &l.UserName)...)
			return l, err
		}, "SELECT "+loginColumns+", u.name FROM logins l JOIN users u ON u.id = l.user_id WHERE "+where+" ORDER BY l.id DESC LIMIT ?", append(args, limit+1)...)
		return err
	})
	ls, next = turn(ls, limit, func(l ownline.LoginInfo) string { return l.ID.String() })
	return ls, next, err
}

// TouchLogin records that a login was used, and moves its end.
func (s *Store) TouchLogin(ctx context.Context, l ownline.LoginID, seen, until time.Time) error {
	return s.Write(ctx, func(t *Tx) error {
		return t.exec("UPDATE logins SET seen = ?, expires = ? WHERE id = ?", ms(seen), ms(until), l.String())
	})
}

// DeleteLogin forgets a login of that user's, or of anybody's when user is zero; one that
// is not there is ErrNotFound.
func (s *Store) DeleteLogin(ctx context.Context, user ownline.UserID, l ownline.LoginID) error {
	return s.Write(ctx, func(t *Tx) error {
		rows, err := t.forgetLogins("l.id = ? AND (l.user_id = ? OR ? = '')", l.String(), idText(user), idText(user))
		if err == nil && rows == 0 {
			err = ownline.NotFound("login", l.String())
		}
		if err != nil {
			return err
		}
		return t.countEnded()
	})
}

// SignOutOthers forgets a user's logins but the kept one, and their tokens too if told so,
// but the kept one. It returns how many logins and tokens that were.
func (s *Store) SignOutOthers(ctx context.Context, user ownline.UserID, keep ownline.LoginID, tokens bool, keepToken ownline.TokenID) (n int, err error) {
	err = s.Write(ctx, func(t *Tx) error {
		rows, err := t.forgetLogins("l.user_id = ? AND l.id <> ?", user.String(), idText(keep))
		if n = int(rows); err != nil {
			return err
		}
		if tokens {
			rows, err = t.c.exec("DELETE FROM tokens WHERE user_id = ? AND id <> ?", user.String(), idText(keepToken))
			n += int(rows)
		}
		if err != nil || n == 0 {
			return err
		}
		return t.countEnded()
	})
	return n, err
}

// AddAttempt remembers a try to sign in. A failure that is like one of the last hours is
// counted there; of each user, and of names that nobody has, the newest are kept.
func (s *Store) AddAttempt(ctx context.Context, a ownline.LoginAttempt) error {
	return s.Write(ctx, func(t *Tx) error {
		user, place := idText(a.User), prefixText(a.Place)
		if a.Result != ownline.LoginOK {
			rows, err := t.c.exec(`UPDATE login_attempts SET latest = ?, tries = tries + ?, client = ?, agent = ? WHERE id = (
				SELECT id FROM login_attempts WHERE user_id = ? AND result = ? AND method = ? AND place = ? AND latest > ? ORDER BY id DESC LIMIT 1)`,
				ms(a.At), a.Count, addrText(a.Client), a.Agent, user, string(a.Result), string(a.Method), place, ms(a.At.Add(-foldWithin)))
			if err != nil || rows > 0 {
				return err
			}
		}
		err := t.exec("INSERT INTO login_attempts (id, user_id, at, latest, tries, method, result, client, place, agent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			a.ID.String(), user, ms(a.At), ms(a.At), a.Count, string(a.Method), string(a.Result), addrText(a.Client), place, a.Agent)
		if err != nil {
			return err
		}
		alike := "user_id = ? AND result <> 'ok'"
		if a.Result == ownline.LoginOK {
			alike = "user_id = ? AND result = 'ok'"
		}
		return t.exec("DELETE FROM login_attempts WHERE "+alike+" AND id <= (SELECT id FROM login_attempts WHERE "+alike+" ORDER BY id DESC LIMIT 1 OFFSET ?)",
			user, user, maxAttempts)
	})
}

// Attempts lists tries to sign in, the newest first.
func (s *Store) Attempts(ctx context.Context, q ownline.AttemptQuery) (as []ownline.LoginAttempt, next string, err error) {
	limit, after, err := page(q.Page)
	if err != nil {
		return nil, "", err
	}
	where, args := []string{"0 = 0"}, []any{}
	only := func(condition string, arg any) { where, args = append(where, condition), append(args, arg) }
	if !q.User.IsZero() {
		only("a.user_id = ?", q.User.String())
	}
	if q.Method != "" {
		only("a.method = ?", string(q.Method))
	}
	if q.Result != "" {
		only("a.result = ?", string(q.Result))
	}
	if !q.Since.IsZero() {
		only("a.latest >= ?", ms(q.Since))
	}
	if !q.Until.IsZero() {
		only("a.at < ?", ms(q.Until))
	}
	if after != "" {
		only("a.id < ?", after)
	}
	err = s.Read(ctx, func(t *Tx) error {
		as, err = all(t, func(scan scanner) (a ownline.LoginAttempt, err error) {
			err = scan(id(&a.ID), id(&a.User), &a.UserName, when(&a.At), when(&a.Latest), &a.Count, &a.Method, &a.Result, addr(&a.Client), prefix(&a.Place), &a.Agent)
			return a, err
		}, `SELECT a.id, a.user_id, COALESCE(u.name, ''), a.at, a.latest, a.tries, a.method, a.result, a.client, a.place, a.agent
			FROM login_attempts a LEFT JOIN users u ON u.id = a.user_id WHERE `+strings.Join(where, " AND ")+" ORDER BY a.id DESC LIMIT ?", append(args, limit+1)...)
		return err
	})
	as, next = turn(as, limit, func(a ownline.LoginAttempt) string { return a.ID.String() })
	return as, next, err
}
