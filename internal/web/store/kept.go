package store

import (
	"strings"

	"github.com/ownline/ownline/internal/ownline"
)

// KeptTokens lists the tokens of all users with their hashes.
func (t *Tx) KeptTokens() ([]ownline.KeptToken, error) {
	return all(t, func(scan scanner) (k ownline.KeptToken, err error) {
		err = scan(append(tokenDest(&k.Token), &k.Hash)...)
		return k, err
	}, "SELECT "+tokenColumns+", k.hash FROM tokens k JOIN users u ON u.id = k.user_id WHERE u.removed = 0 ORDER BY k.id")
}

// KeepToken adds a token that another database knew.
func (t *Tx) KeepToken(k ownline.KeptToken) error {
	return t.taken(t.exec("INSERT INTO tokens (id, user_id, name, scopes, hash, created, expires, last_used) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		k.ID.String(), k.User.String(), k.Name, strings.Join(k.Scopes, " "), k.Hash, ms(k.Created), ms(k.Expires), ms(k.LastUsed)),
		"hash", "is that of another token")
}

// KeptTOTPs lists the second factors that count, with the hashes of their recovery codes.
func (t *Tx) KeptTOTPs() ([]ownline.KeptTOTP, error) {
	b, err := t.box()
	if err != nil {
		return nil, err
	}
	list, err := all(t, func(scan scanner) (f ownline.KeptTOTP, err error) {
		var sealed []byte
		if err := scan(id(&f.User), &sealed, flag(&f.Confirmed), &f.LastStep, when(&f.Created)); err != nil {
			return f, err
		}
		f.Secret, err = b.open(sealed, sealedColumns[totpSecret].prefix+f.User.String())
		return f, err
	}, `SELECT t.user_id, t.secret, t.confirmed, t.last_step, t.created FROM totp t JOIN users u ON u.id = t.user_id
		WHERE t.confirmed = 1 AND u.removed = 0 ORDER BY t.user_id`)
	for i := range list {
		if err == nil {
			list[i].Codes, err = all(t, func(scan scanner) (hash []byte, err error) {
				err = scan(&hash)
				return hash, err
			}, "SELECT hash FROM recovery_codes WHERE user_id = ? ORDER BY hash", list[i].User.String())
		}
	}
	return list, err
}

// KeepTOTP adds the second factor of a user who has none, in place of one that was only offered.
func (t *Tx) KeepTOTP(f ownline.KeptTOTP) error {
	if err := t.exec("DELETE FROM totp WHERE user_id = ? AND confirmed = 0", f.User.String()); err != nil {
		return err
	}
	sealed, err := t.seal(totpSecret, f.User.String(), f.Secret)
	if err != nil {
		return err
	}
	err = t.exec("INSERT INTO totp (user_id, secret, confirmed, last_step, created) VALUES (?, ?, 1, ?, ?)", f.User.String(), sealed, f.LastStep, ms(f.Created))
	if err := t.taken(err, "user", "has a second factor already"); err != nil {
		return err
	}
	return t.setRecoveryCodes(f.User, f.Codes)
}

// KeptPasskeys lists the passkeys of all users.
func (t *Tx) KeptPasskeys() ([]ownline.Passkey, error) {
	return all(t, scanPasskey, "SELECT "+passkeyColumns+" FROM passkeys WHERE user_id IN (SELECT id FROM users WHERE removed = 0) ORDER BY id")
}

// KeepPasskey adds a passkey that another database knew.
func (t *Tx) KeepPasskey(p ownline.Passkey) error {
	return t.taken(t.exec("INSERT INTO passkeys ("+passkeyColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		p.ID.String(), p.User.String(), p.Name, p.Credential, p.Data, bit(p.Cloned), ms(p.Created), ms(p.LastUsed)),
		"credential", "is that of another passkey")
}

// KeptInvitations lists the invitations for services that are there, of users who are, with
// their secrets.
func (t *Tx) KeptInvitations() ([]ownline.KeptInvitation, error) {
	b, err := t.box()
	if err != nil {
		return nil, err
	}
	return all(t, func(scan scanner) (i ownline.KeptInvitation, err error) {
		var sealed []byte
		err = scan(id(&i.ID), id(&i.User), id(&i.Service), &i.Message, span(&i.For), &i.Uses, &i.Used, list(&i.Countries, asIs),
			when(&i.Created), when(&i.Expires), when(&i.Revoked), &i.Hash, &sealed)
		if err == nil && sealed != nil {
			i.Unseals, err = b.open(sealed, i.ID.String())
		}
		return i, err
	}, "SELECT "+invitationColumns+`, i.hash, i.unseals FROM invitations i JOIN users u ON u.id = i.user_id JOIN services s ON s.id = i.service_id
		WHERE u.removed = 0 AND s.removed = 0 ORDER BY i.id`)
}

// KeepInvitation adds an invitation that another database knew, or that went here with its
// user or service.
func (t *Tx) KeepInvitation(i ownline.KeptInvitation) error {
	var sealed []byte
	if len(i.Unseals) > 0 {
		var err error
		if sealed, err = t.seal(invitationUnseals, i.ID.String(), i.Unseals); err != nil {
			return err
		}
	}
	return t.taken(t.exec(`INSERT INTO invitations (id, user_id, service_id, message, duration, uses, used, countries, hash, unseals, created, expires, revoked)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id, service_id = excluded.service_id, message = excluded.message,
			duration = excluded.duration, uses = excluded.uses, used = excluded.used, countries = excluded.countries, hash = excluded.hash,
			unseals = excluded.unseals, created = excluded.created, expires = excluded.expires, revoked = excluded.revoked`,
		i.ID.String(), i.User.String(), i.Service.String(), i.Message, i.For.Milliseconds(), i.Uses, i.Used, joined(i.Countries), i.Hash,
		sealed, ms(i.Created), ms(i.Expires), ms(i.Revoked)), "hash", "is that of another invitation")
}

// KeptLinks lists who at identity providers is which user. Link adds one.
func (t *Tx) KeptLinks() ([]ownline.KeptLink, error) {
	return all(t, func(scan scanner) (l ownline.KeptLink, err error) {
		err = scan(id(&l.User), &l.Issuer, &l.Subject, when(&l.Created))
		return l, err
	}, `SELECT l.user_id, l.issuer, l.subject, l.created FROM oidc_links l JOIN users u ON u.id = l.user_id
		WHERE u.removed = 0 ORDER BY l.issuer, l.subject`)
}
