package transfer

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
)

// hashForm are the hashes of passwords that a login accepts: ours, and those of the Python
// prototype.
var hashForm = regexp.MustCompile(`^(\$argon2id\$v=\d+\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+|pbkdf2:sha256:[1-9][0-9]{0,8}\$[^$\s]+\$[0-9a-f]{64})$`)

// old reports whether a hash is one of the prototype's, which the next login replaces.
func old(hash string) bool { return strings.HasPrefix(hash, "pbkdf2:") }

func (p *planner) planUsers() {
	m := newMatcher(p, p.have.Users, func(u ownline.User) ownline.UserID { return u.ID }, func(u ownline.User) string { return u.Name })
	for i, w := range p.file.Users {
		path := fmt.Sprintf("users[%d]", i)
		if p.missing(path, "name", w.Name) {
			continue
		}
		w.Role = cmp.Or(w.Role, string(ownline.Person))
		if w.PasswordHash != "" && !hashForm.MatchString(w.PasswordHash) {
			p.fail(path+".password_hash", "is neither an argon2id hash ($argon2id$…) nor pbkdf2:sha256:N$salt$hex")
			continue
		}
		is, ok := m.find(path, w.ID, w.Name)
		switch {
		case !ok:
		case is == nil:
			p.addUser(path, w)
		default:
			p.changeUser(path, w, *is)
		}
	}
	for _, u := range m.rest(p.have.Users) {
		if !p.prune || p.file.Users == nil {
			p.users[u.Name] = u.ID
			continue
		}
		id := u.ID
		p.removed("user", u.Name, func(ctx context.Context, a *access.Access, actor access.Actor) error {
			return a.RemoveUser(ctx, actor, id)
		})
	}
}

func (p *planner) addUser(path string, w User) {
	u := ownline.User{ID: cmp.Or(w.ID, ownline.NewID[ownline.User]()), Name: w.Name, Role: ownline.Role(w.Role), Disabled: w.Disabled, MustChange: w.MustChange, Created: w.Created}
	p.users[w.Name] = u.ID
	var f fields
	f.add("role", "", u.Role)
	f.add("disabled", false, u.Disabled)
	f.add("must_change", false, u.MustChange)
	if w.PasswordHash != "" {
		f.secret("password_hash")
	} else {
		p.note("user %s has no password yet: `ownline-web user passwd %s`", w.Name, w.Name)
	}
	p.added("user", w.Name, path, f, func(ctx context.Context, a *access.Access, actor access.Actor) error {
		return a.RestoreUser(ctx, actor, u, w.PasswordHash)
	})
}

func (p *planner) changeUser(path string, w User, is ownline.User) {
	p.users[w.Name] = is.ID
	var f fields
	f.add("name", is.Name, w.Name)
	f.add("role", is.Role, w.Role)
	f.add("disabled", is.Disabled, w.Disabled)
	account := len(f) > 0
	has := p.have.Passwords[is.ID]
	password := w.PasswordHash != "" && w.PasswordHash != has
	if password && old(w.PasswordHash) && has != "" {
		// The login has replaced the old hash meanwhile, or the user chose another.
		password = false
		p.note("user %s keeps the password that they have here", w.Name)
	}
	if password {
		f.secret("password_hash")
	}
	if w.PasswordHash != "" && (password || w.PasswordHash == has) && w.MustChange != is.MustChange {
		f.add("must_change", is.MustChange, w.MustChange)
		password = true
	}
	p.signedOut[is.ID] = password
	role := ownline.Role(w.Role)
	p.changed("user", w.Name, path, f, func(ctx context.Context, a *access.Access, actor access.Actor) error {
		if account {
			if _, err := a.ChangeUser(ctx, actor, is.ID, access.UserChange{Name: &w.Name, Role: &role, Disabled: &w.Disabled}); err != nil {
				return err
			}
		}
		if password {
			return a.RestorePassword(ctx, actor, is.ID, w.PasswordHash, w.MustChange)
		}
		return nil
	})
}

// userOf finds a user by name.
func (p *planner) userOf(path, name string) (ownline.UserID, bool) {
	if p.missing(path, "user", name) {
		return ownline.UserID{}, false
	}
	id, ok := p.users[name]
	if !ok {
		p.fail(path+".user", fmt.Sprintf("there is no user %q; %s", name, known(p.users)))
	}
	return id, ok
}

func (p *planner) planDevices() {
	n := namesOf(p.have)
	called := func(d ownline.Device) string { return n.user[d.User] + "/" + d.Name }
	met := map[ownline.DeviceID]bool{}
	for i, w := range p.file.Devices {
		path := fmt.Sprintf("devices[%d]", i)
		user, uok := p.userOf(path, w.User)
		site, sok := p.siteOf(path, w.Site)
		if p.missing(path, "name", w.Name) || !uok || !sok {
			continue
		}
		d := ownline.Device{
			ID: w.ID, User: user, Site: site, Name: w.Name, Fwknop: w.Fwknop, RequireClaimedSource: w.RequireClaimedSource, AllowedFrom: p.origins(path, w.AllowedFrom), Revoked: w.Revoked, Created: w.Created,
		}
		if w.Secret != "" {
			b, err := base64.StdEncoding.DecodeString(w.Secret)
			if err != nil || len(b) != ownline.SecretSize {
				p.fail(path+".secret", fmt.Sprintf("is not %d bytes in base64", ownline.SecretSize))
				continue
			}
			d.Secret = b
		}
		is, ok := p.findDevice(path, d)
		switch {
		case !ok:
		case is != nil && met[is.ID] || is == nil && met[d.ID] && !d.ID.IsZero():
			p.fail(path, w.User+"/"+w.Name+" is given twice")
		case is == nil:
			met[d.ID] = true
			p.addDevice(path, w, d)
		default:
			met[is.ID] = true
			p.changeDevice(path, w, d, *is)
		}
	}
	for _, d := range p.have.Devices {
		if id := d.ID; p.prune && p.file.Devices != nil && !met[id] {
			p.removed("device", called(d), func(ctx context.Context, a *access.Access, actor access.Actor) error {
				return a.RemoveDevice(ctx, actor, id)
			})
		}
	}
}

// findDevice finds a device by its ID, or the only one of that name of its user at its site
// that is not revoked: of old, names of devices may come twice.
func (p *planner) findDevice(path string, d ownline.Device) (is *ownline.Device, ok bool) {
	for i := range p.have.Devices {
		h := &p.have.Devices[i]
		switch {
		case !d.ID.IsZero() && h.ID == d.ID:
			if h.User != d.User || h.Site != d.Site {
				p.fail(path, "a device can't move to another user or site; leave id out to make another one")
				return nil, false
			}
			return h, true
		case d.ID.IsZero() && h.User == d.User && h.Site == d.Site && h.Name == d.Name && h.Revoked == d.Revoked:
			if is != nil {
				p.fail(path, "several devices are called so; give the id of the one that is meant")
				return nil, false
			}
			is = h
		}
	}
	return is, true
}

func (p *planner) addDevice(path string, w Device, d ownline.Device) {
	name := w.User + "/" + w.Name
	var f fields
	f.add("site", "", w.Site)
	f.add("require_claimed_source", false, d.RequireClaimedSource)
	f.add("allowed_from", "", string(d.AllowedFrom))
	f.add("fwknop", "", d.Fwknop)
	f.add("revoked", false, d.Revoked)
	switch {
	case d.Secret != nil:
		f.secret("secret")
	case !d.Revoked:
		p.note("device %s can't knock before it is enrolled again: give it a new secret, or add another and remove this one", name)
	}
	d.ID = cmp.Or(d.ID, ownline.NewID[ownline.Device]())
	p.added("device", name, path, f, func(ctx context.Context, a *access.Access, actor access.Actor) error {
		return a.RestoreDevice(ctx, actor, d)
	})
}

func (p *planner) changeDevice(path string, w Device, d, is ownline.Device) {
	if is.Revoked && !d.Revoked {
		p.fail(path+".revoked", "the device was revoked here, which can't be undone; leave it out, or make another one")
		return
	}
	if is.Fwknop != d.Fwknop {
		p.fail(path+".fwknop", "a device can't become another kind of client; leave id out to make another one")
		return
	}
	var f fields
	f.add("name", is.Name, d.Name)
	f.add("require_claimed_source", is.RequireClaimedSource, d.RequireClaimedSource)
	f.add("allowed_from", string(is.AllowedFrom), string(d.AllowedFrom))
	from := d.AllowedFrom.Words()
	change := access.DeviceChange{Name: &d.Name, RequireClaimedSource: &d.RequireClaimedSource, AllowedFrom: &from}
	if d.Secret != nil && string(d.Secret) != string(is.Secret) {
		f.secret("secret")
		change.Secret = d.Secret
	}
	kept := len(f) > 0
	f.add("revoked", is.Revoked, d.Revoked)
	p.changed("device", w.User+"/"+w.Name, path, f, func(ctx context.Context, a *access.Access, actor access.Actor) error {
		if kept {
			if err := a.ChangeRestored(ctx, actor, is.ID, change); err != nil {
				return err
			}
		}
		if d.Revoked && !is.Revoked {
			_, err := a.RevokeDevice(ctx, actor, is.ID)
			return err
		}
		return nil
	})
}
