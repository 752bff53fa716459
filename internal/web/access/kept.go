package access

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/ownline/ownline/internal/ownline"
)

// icons reads the pictures that were uploaded.
func (e *Everything) icons(tx Tx) error {
	e.Icons = map[ownline.ServiceID][]byte{}
	for _, s := range e.Services {
		if !strings.HasPrefix(s.Icon, uploaded) {
			continue
		}
		content, _, err := tx.Icon(s.ID)
		if err != nil {
			return err
		}
		e.Icons[s.ID] = content
	}
	return nil
}

// keys reads what lets people in beside passwords.
func (e *Everything) keys(tx Tx) (err error) {
	if e.Links, err = tx.KeptLinks(); err != nil {
		return err
	}
	if e.TOTPs, err = tx.KeptTOTPs(); err != nil {
		return err
	}
	if e.Passkeys, err = tx.KeptPasskeys(); err != nil {
		return err
	}
	if e.Tokens, err = tx.KeptTokens(); err != nil {
		return err
	}
	e.Invitations, err = tx.KeptInvitations()
	return err
}

// restoreOf adds something of a user's that another database knew (command).
func (a *Access) restoreOf(ctx context.Context, actor Actor, user ownline.UserID, check error, keep func(*change, ownline.User) error) error {
	if err := actor.mustCommand(); err != nil {
		return err
	}
	if check != nil {
		return check
	}
	_, err := a.change(ctx, actor, func(c *change) error {
		u, err := c.User(user)
		if err != nil {
			return err
		}
		return keep(c, u)
	})
	return err
}

// RestoreLink links a user with a subject of an identity provider (command).
func (a *Access) RestoreLink(ctx context.Context, actor Actor, l ownline.KeptLink) error {
	var check error
	if l.Issuer == "" || l.Subject == "" {
		check = ownline.Invalid("subject", "and issuer must not be empty")
	}
	return a.restoreOf(ctx, actor, l.User, check, func(c *change, u ownline.User) error {
		if err := c.Link(u.ID, l.Issuer, l.Subject, cmp.Or(l.Created, now())); err != nil {
			return err
		}
		return c.audit("user.link", u.ID.String(), ownline.SiteID{}, u.Name+" with "+l.Issuer)
	})
}

// RestoreTOTP gives a user who has no second factor the one that they had (command).
func (a *Access) RestoreTOTP(ctx context.Context, actor Actor, f ownline.KeptTOTP) error {
	var check error
	switch f.Created = cmp.Or(f.Created, now()); {
	case len(f.Secret) < 16:
		check = ownline.Invalid("secret", "is too short")
	case slices.ContainsFunc(f.Codes, func(h []byte) bool { return len(h) != sha256.Size }):
		check = ownline.Invalid("recovery_codes", "must be hashes of 32 bytes")
	}
	return a.restoreOf(ctx, actor, f.User, check, func(c *change, u ownline.User) error {
		if err := c.KeepTOTP(f); err != nil {
			return err
		}
		return c.audit("totp.restore", u.ID.String(), ownline.SiteID{}, u.Name)
	})
}

// RestorePasskey gives a user a passkey that they had (command).
func (a *Access) RestorePasskey(ctx context.Context, actor Actor, p ownline.Passkey) error {
	p.Created = cmp.Or(p.Created, now())
	check := checkLabel("name", p.Name, 1)
	if check == nil && (len(p.Credential) == 0 || len(p.Data) == 0) {
		check = ownline.Invalid("credential", "and data must not be empty")
	}
	return a.restoreOf(ctx, actor, p.User, check, func(c *change, u ownline.User) error {
		if err := c.KeepPasskey(p); err != nil {
			return err
		}
		return c.audit("passkey.restore", p.ID.String(), ownline.SiteID{}, u.Name+"'s "+p.Name)
	})
}

// RestoreToken gives a user a token that they had (command).
func (a *Access) RestoreToken(ctx context.Context, actor Actor, t ownline.KeptToken) error {
	t.Created = cmp.Or(t.Created, now())
	check := checkLabel("name", t.Name, 1)
	switch {
	case check != nil:
	case len(t.Hash) != sha256.Size:
		check = ownline.Invalid("hash", "must be one of 32 bytes")
	case len(t.Scopes) == 0 || slices.ContainsFunc(t.Scopes, func(s string) bool { return !slices.Contains(ownline.Scopes(), s) }):
		check = ownline.Invalid("scopes", "must be of "+strings.Join(ownline.Scopes(), ", "))
	}
	return a.restoreOf(ctx, actor, t.User, check, func(c *change, u ownline.User) error {
		if err := c.KeepToken(t); err != nil {
			return err
		}
		return c.audit("token.restore", t.ID.String(), ownline.SiteID{}, u.Name+"'s "+t.Name)
	})
}

// RestoreInvitation gives a user an invitation that they had made (command).
func (a *Access) RestoreInvitation(ctx context.Context, actor Actor, i ownline.KeptInvitation) error {
	i.Created = cmp.Or(i.Created, now())
	var check error
	switch {
	case len(i.Hash) != sha256.Size:
		check = ownline.Invalid("hash", "must be one of 32 bytes")
	case i.Uses < 1 || i.Uses > maxUses || i.Used < 0 || i.Used > i.Uses:
		check = ownline.Invalid("uses", fmt.Sprintf("must be 1 to %d, and used at most that", maxUses))
	case i.For <= 0:
		check = ownline.Invalid("duration", "must be longer than nothing")
	case i.Expires.IsZero() || i.Expires.Sub(i.Created) > maxLife:
		check = ownline.Invalid("expires", "must be at most 366 days after created")
	case slices.ContainsFunc(i.Countries, func(c string) bool { return !countryForm.MatchString(c) }):
		check = ownline.Invalid("countries", "must be codes of two letters like ES (ISO 3166-1)")
	}
	return a.restoreOf(ctx, actor, i.User, check, func(c *change, u ownline.User) error {
		s, err := c.Service(i.Service)
		if err != nil {
			return err
		}
		if err := c.KeepInvitation(i); err != nil {
			return err
		}
		info, err := c.Invitation(i.ID)
		if err != nil {
			return err
		}
		c.invitation(info)
		return c.audit("invitation.restore", i.ID.String(), s.Site, describeInvitation(info))
	})
}
