package store

import (
	"strings"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

const userColumns = "u.id, u.name, u.role, u.disabled, u.must_change, u.created"

func userDest(u *ownline.User) []any {
	return []any{id(&u.ID), &u.Name, &u.Role, flag(&u.Disabled), flag(&u.MustChange), when(&u.Created)}
}

// lastSignIn is when a user signed in last; 0: never.
const lastSignIn = `, coalesce((SELECT a.at FROM login_attempts a WHERE a.user_id = u.id AND a.result = 'ok' ORDER BY a.id DESC LIMIT 1), 0)`

func scanUserSeen(scan scanner) (u ownline.User, err error) {
	err = scan(append(userDest(&u), when(&u.LastSignIn))...)
	return u, err
}

func scanUser(scan scanner) (u ownline.User, err error) {
	err = scan(userDest(&u)...)
	return u, err
}

// User returns a user who was not removed, or ErrNotFound.
func (t *Tx) User(u ownline.UserID) (ownline.User, error) {
	return first(t, "user", u.String(), scanUserSeen, "SELECT "+userColumns+lastSignIn+" FROM users u WHERE u.id = ? AND u.removed = 0", u.String())
}

// UserNamed returns the user with that name, or ErrNotFound.
func (t *Tx) UserNamed(name string) (ownline.User, error) {
	return first(t, "user", name, scanUser, "SELECT "+userColumns+" FROM users u WHERE u.name = ? AND u.removed = 0", name)
}

// Users lists users by name.
func (t *Tx) Users(q ownline.UserQuery) ([]ownline.User, string, error) {
	limit, after, err := page(q.Page)
	if err != nil {
		return nil, "", err
	}
	where, args := "u.removed = 0 AND u.name > ?", []any{after}
	if q.Role != "" {
		where, args = where+" AND u.role = ?", append(args, string(q.Role))
	}
	if q.Disabled != nil {
		where, args = where+" AND u.disabled = ?", append(args, bit(*q.Disabled))
	}
	if q.Named != "" {
		where, args = where+` AND u.name LIKE ? ESCAPE '!'`, append(args, "%"+strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(q.Named)+"%")
	}
	us, err := all(t, scanUserSeen, "SELECT "+userColumns+lastSignIn+" FROM users u WHERE "+where+" ORDER BY u.name LIMIT ?", append(args, limit+1)...)
	if err != nil {
		return nil, "", err
	}
	us, next := turn(us, limit, func(u ownline.User) string { return u.Name })
	return us, next, nil
}

// CountAdmins returns how many admins there are who may sign in.
func (t *Tx) CountAdmins() (n int, err error) {
	err = t.one("SELECT count(*) FROM users WHERE role = 'admin' AND disabled = 0 AND removed = 0", nil, &n)
	return n, err
}

// AddUser adds a user with the hash of a password.
func (t *Tx) AddUser(u ownline.User, password string) error {
	err := t.exec("INSERT INTO users (id, name, password, role, disabled, must_change, created) VALUES (?, ?, ?, ?, ?, ?, ?)",
		u.ID.String(), u.Name, password, string(u.Role), bit(u.Disabled), bit(u.MustChange), ms(u.Created))
	return t.taken(err, "name", "is another user's already")
}

// SaveUser writes a user's name, role, whether they are disabled and must change their
// password.
func (t *Tx) SaveUser(u ownline.User) error {
	err := t.exec("UPDATE users SET name = ?, role = ?, disabled = ?, must_change = ? WHERE id = ? AND removed = 0",
		u.Name, string(u.Role), bit(u.Disabled), bit(u.MustChange), u.ID.String())
	return t.taken(err, "name", "is another user's already")
}

// SetPassword replaces the hash of a user's password.
func (t *Tx) SetPassword(u ownline.UserID, password string) error {
	return t.exec("UPDATE users SET password = ? WHERE id = ?", password, u.String())
}

// SignOut forgets the user's logins and tokens.
func (t *Tx) SignOut(u ownline.UserID) error {
	if _, err := t.forgetLogins("l.user_id = ?", u.String()); err != nil {
		return err
	}
	if err := t.exec("DELETE FROM tokens WHERE user_id = ?", u.String()); err != nil {
		return err
	}
	return t.countEnded()
}

// ForgetFactors forgets the user's second factor, recovery codes and passkeys.
func (t *Tx) ForgetFactors(u ownline.UserID) error {
	for _, table := range []string{"totp", "recovery_codes", "passkeys"} {
		if err := t.exec("DELETE FROM "+table+" WHERE user_id = ?", u.String()); err != nil {
			return err
		}
	}
	return nil
}

// RemoveUser removes a user with their grants, devices, logins, tokens and passkeys, and revokes
// their invitations.
func (t *Tx) RemoveUser(u ownline.UserID, now time.Time) error {
	if err := t.SignOut(u); err != nil {
		return err
	}
	if err := t.ForgetFactors(u); err != nil {
		return err
	}
	if err := t.exec("DELETE FROM grants WHERE user_id = ?", u.String()); err != nil {
		return err
	}
	if err := t.exec("DELETE FROM oidc_links WHERE user_id = ?", u.String()); err != nil {
		return err
	}
	if err := t.exec("UPDATE devices SET revoked = 1, removed = ? WHERE user_id = ? AND removed = 0", ms(now), u.String()); err != nil {
		return err
	}
	if err := t.exec("UPDATE invitations SET revoked = ? WHERE user_id = ? AND revoked = 0", ms(now), u.String()); err != nil {
		return err
	}
	return t.exec("UPDATE users SET removed = ?, disabled = 1, password = '' WHERE id = ?", ms(now), u.String())
}
