package store

import (
	"context"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// Spend records that a step of a sign-in, known by its hash, was carried out, until it is
// too old anyway. The second time it is ErrConflict.
func (s *Store) Spend(ctx context.Context, hash []byte, expires time.Time) error {
	return s.Write(ctx, func(t *Tx) error {
		return t.taken(t.exec("INSERT INTO spent_steps (hash, expires) VALUES (?, ?)", hash, ms(expires)), "challenge", "was used already")
	})
}

// Password returns a user and the hash of their password.
func (s *Store) Password(ctx context.Context, user ownline.UserID) (u ownline.User, hash string, err error) {
	err = s.Read(ctx, func(t *Tx) error {
		u, err = first(t, "user", user.String(), func(scan scanner) (u ownline.User, err error) {
			err = scan(append(userDest(&u), &hash)...)
			return u, err
		}, "SELECT "+userColumns+", u.password FROM users u WHERE u.id = ? AND u.removed = 0", user.String())
		return err
	})
	return u, hash, err
}

// ReplacePassword writes another hash of a user's password and whether they must change it,
// if the hash is still was; else it is ErrConflict.
func (s *Store) ReplacePassword(ctx context.Context, user ownline.UserID, was, hash string, mustChange bool) error {
	return s.Write(ctx, func(t *Tx) error {
		rows, err := t.c.exec("UPDATE users SET password = ?, must_change = ? WHERE id = ? AND password = ? AND removed = 0", hash, bit(mustChange), user.String(), was)
		if err == nil && rows == 0 {
			err = ownline.Conflict("password", "was changed by somebody else meanwhile")
		}
		return err
	})
}

// TOTP returns a user's second factor, confirmed or not, or ErrNotFound.
func (s *Store) TOTP(ctx context.Context, user ownline.UserID) (f ownline.TOTP, err error) {
	err = s.Read(ctx, func(t *Tx) error {
		var sealed []byte
		f, err = first(t, "second factor", user.String(), func(scan scanner) (f ownline.TOTP, err error) {
			err = scan(&sealed, flag(&f.Confirmed), &f.LastStep, when(&f.Created))
			return f, err
		}, "SELECT secret, confirmed, last_step, created FROM totp WHERE user_id = ?", user.String())
		if err != nil {
			return err
		}
		f.Secret, err = t.unseal(totpSecret, user.String(), sealed)
		return err
	})
	return f, err
}

// OfferTOTP keeps the secret of a second factor that does not count before ConfirmTOTP, in
// place of another such one. If one counts already, it is ErrConflict.
func (s *Store) OfferTOTP(ctx context.Context, user ownline.UserID, secret ownline.Secret, now time.Time) error {
	return s.Write(ctx, func(t *Tx) error {
		if err := t.exec("DELETE FROM totp WHERE user_id = ? AND confirmed = 0", user.String()); err != nil {
			return err
		}
		sealed, err := t.seal(totpSecret, user.String(), secret)
		if err != nil {
			return err
		}
		err = t.exec("INSERT INTO totp (user_id, secret, confirmed, last_step, created) VALUES (?, ?, 0, 0, ?)", user.String(), sealed, ms(now))
		return t.taken(err, "totp", "is on already; turn it off first")
	})
}

// ConfirmTOTP has the second factor count from now on, codes up to step excepted, with new
// recovery codes. created tells which one is meant; if it isn't there or counts already, it
// is ErrConflict.
func (s *Store) ConfirmTOTP(ctx context.Context, user ownline.UserID, created time.Time, step int64, codes [][]byte) error {
	return s.Write(ctx, func(t *Tx) error {
		rows, err := t.c.exec("UPDATE totp SET confirmed = 1, last_step = ? WHERE user_id = ? AND confirmed = 0 AND created = ?", step, user.String(), ms(created))
		if err != nil {
			return err
		}
		if rows == 0 {
			return ownline.Conflict("totp", "was begun anew or confirmed meanwhile")
		}
		return t.setRecoveryCodes(user, codes)
	})
}

// UseStep records that the code of a step was used, and reports whether it counts: once,
// and none of an earlier step after it.
func (s *Store) UseStep(ctx context.Context, user ownline.UserID, step int64) (ok bool, err error) {
	err = s.Write(ctx, func(t *Tx) error {
		rows, err := t.c.exec("UPDATE totp SET last_step = ? WHERE user_id = ? AND confirmed = 1 AND last_step < ?", step, user.String(), step)
		ok = rows == 1
		return err
	})
	return ok && err == nil, err
}

// RemoveTOTP forgets the user's second factor and recovery codes.
func (s *Store) RemoveTOTP(ctx context.Context, user ownline.UserID) error {
	return s.Write(ctx, func(t *Tx) error {
		if err := t.exec("DELETE FROM totp WHERE user_id = ?", user.String()); err != nil {
			return err
		}
		return t.setRecoveryCodes(user, nil)
	})
}

// SetRecoveryCodes replaces the user's recovery codes, which are kept by their hashes.
func (s *Store) SetRecoveryCodes(ctx context.Context, user ownline.UserID, codes [][]byte) error {
	return s.Write(ctx, func(t *Tx) error { return t.setRecoveryCodes(user, codes) })
}

func (t *Tx) setRecoveryCodes(user ownline.UserID, codes [][]byte) error {
	if err := t.exec("DELETE FROM recovery_codes WHERE user_id = ?", user.String()); err != nil {
		return err
	}
	for _, c := range codes {
		if err := t.exec("INSERT INTO recovery_codes (user_id, hash) VALUES (?, ?)", user.String(), c); err != nil {
			return err
		}
	}
	return nil
}

// UseRecoveryCode forgets a recovery code and reports whether it was there.
func (s *Store) UseRecoveryCode(ctx context.Context, user ownline.UserID, hash []byte) (ok bool, err error) {
	err = s.Write(ctx, func(t *Tx) error {
		rows, err := t.c.exec("DELETE FROM recovery_codes WHERE user_id = ? AND hash = ?", user.String(), hash)
		ok = rows == 1
		return err
	})
	return ok && err == nil, err
}

// CountRecoveryCodes returns how many the user has left.
func (s *Store) CountRecoveryCodes(ctx context.Context, user ownline.UserID) (n int, err error) {
	err = s.Read(ctx, func(t *Tx) error {
		return t.one("SELECT count(*) FROM recovery_codes WHERE user_id = ?", []any{user.String()}, &n)
	})
	return n, err
}

const passkeyColumns = "id, user_id, name, credential, data, cloned, created, last_used"

func scanPasskey(scan scanner) (p ownline.Passkey, err error) {
	err = scan(id(&p.ID), id(&p.User), &p.Name, &p.Credential, &p.Data, flag(&p.Cloned), when(&p.Created), when(&p.LastUsed))
	return p, err
}

// AddPasskey keeps a passkey, of which a user has at most limit. A credential that is known
// already is ErrConflict.
func (s *Store) AddPasskey(ctx context.Context, p ownline.Passkey, limit int) error {
	return s.Write(ctx, func(t *Tx) error {
		var n int
		if err := t.one("SELECT count(*) FROM passkeys WHERE user_id = ?", []any{p.User.String()}, &n); err != nil {
			return err
		}
		if n >= limit {
			return ownline.Conflict("", "you have as many passkeys as one may; remove one first")
		}
		err := t.exec("INSERT INTO passkeys ("+passkeyColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			p.ID.String(), p.User.String(), p.Name, p.Credential, p.Data, bit(p.Cloned), ms(p.Created), ms(p.LastUsed))
		return t.taken(err, "credential", "is registered already")
	})
}

// Passkeys lists a user's passkeys, oldest first.
func (s *Store) Passkeys(ctx context.Context, user ownline.UserID) (ps []ownline.Passkey, err error) {
	err = s.Read(ctx, func(t *Tx) error {
		ps, err = all(t, scanPasskey, "SELECT "+passkeyColumns+" FROM passkeys WHERE user_id = ? ORDER BY id", user.String())
		return err
	})
	return ps, err
}

// RenamePasskey gives a passkey of that user's another name.
func (s *Store) RenamePasskey(ctx context.Context, user ownline.UserID, p ownline.PasskeyID, name string) error {
	return s.passkey(ctx, p, "UPDATE passkeys SET name = ? WHERE id = ? AND user_id = ?", name, p.String(), user.String())
}

// UsePasskey records that a passkey was used, with what is now to be kept of it.
func (s *Store) UsePasskey(ctx context.Context, p ownline.Passkey) error {
	return s.passkey(ctx, p.ID, "UPDATE passkeys SET data = ?, cloned = ?, last_used = ? WHERE id = ?", p.Data, bit(p.Cloned), ms(p.LastUsed), p.ID.String())
}

// DeletePasskey forgets a passkey of that user's. The last way to sign in is ErrConflict.
func (s *Store) DeletePasskey(ctx context.Context, user ownline.UserID, p ownline.PasskeyID) error {
	return s.Write(ctx, func(t *Tx) error {
		rows, err := t.c.exec("DELETE FROM passkeys WHERE id = ? AND user_id = ?", p.String(), user.String())
		if err == nil && rows == 0 {
			err = ownline.NotFound("passkey", p.String())
		}
		if err != nil {
			return err
		}
		return t.keepWay(user)
	})
}

// keepWay is ErrConflict when nothing is left by which the user may sign in. A passkey that
// may have been copied lets nobody in.
func (t *Tx) keepWay(user ownline.UserID) error {
	var n int
	u := user.String()
	err := t.one(`SELECT (SELECT count(*) FROM users WHERE id = ? AND password <> '') +
		(SELECT count(*) FROM passkeys WHERE user_id = ? AND cloned = 0) + (SELECT count(*) FROM oidc_links WHERE user_id = ?)`, []any{u, u, u}, &n)
	if err == nil && n == 0 {
		err = ownline.Conflict("", "it is the last way to sign in: add another one first, or ask an admin for a password")
	}
	return err
}

// passkey runs a statement about one passkey, or says that it is not found.
func (s *Store) passkey(ctx context.Context, p ownline.PasskeyID, statement string, args ...any) error {
	return s.Write(ctx, func(t *Tx) error {
		rows, err := t.c.exec(statement, args...)
		if err == nil && rows == 0 {
			err = ownline.NotFound("passkey", p.String())
		}
		return err
	})
}
