package access

import (
	"cmp"
	"context"

	"github.com/ownline/ownline/internal/ownline"
)

// NewUser is what an admin tells of a new user.
type NewUser struct {
	Name     string
	Password string
	// Hash is what is kept of the user's password, from elsewhere, in place of Password
	// (admin): argon2id, or Werkzeug's pbkdf2:sha256, which lasts until the next sign-in.
	Hash string
	Role ownline.Role // "": user
	// MustChange has the user choose another password first. What an admin sets in the
	// browser must be changed always.
	MustChange bool
}

// UserChange changes what is not nil.
type UserChange struct {
	Name     *string
	Password *string // ends the user's logins and tokens
	Hash     *string // likewise, in place of Password; see NewUser
	// MustChange comes with Password or Hash, as in NewUser.
	MustChange bool
	Role       *ownline.Role
	Disabled   *bool // true ends the user's sessions, logins and tokens
}

// Users lists users by name (admin), and the cursor of the next page, "" when there is none.
func (a *Access) Users(ctx context.Context, actor Actor, q ownline.UserQuery) (us []ownline.User, next string, err error) {
	if err := actor.MustAdmin(ownline.ScopeRead); err != nil {
		return nil, "", err
	}
	err = a.store.Read(ctx, func(tx Tx) (err error) {
		us, next, err = tx.Users(q)
		return err
	})
	return us, next, err
}

// User returns a user: an admin any, others themselves.
func (a *Access) User(ctx context.Context, actor Actor, id ownline.UserID) (u ownline.User, err error) {
	if err := actor.May(ownline.ScopeRead, ownline.ScopeAdmin); err != nil {
		return u, err
	}
	if !actor.sees(id) {
		return u, ownline.NotFound("user", id.String())
	}
	err = a.store.Read(ctx, func(tx Tx) (err error) {
		u, err = tx.User(id)
		return err
	})
	return u, err
}

// UserNamed returns the user with that name (admin).
func (a *Access) UserNamed(ctx context.Context, actor Actor, name string) (u ownline.User, err error) {
	if err := actor.MustAdmin(ownline.ScopeRead); err != nil {
		return u, err
	}
	err = a.store.Read(ctx, func(tx Tx) (err error) {
		u, err = tx.UserNamed(name)
		return err
	})
	return u, err
}

// AddUser makes a user (admin).
func (a *Access) AddUser(ctx context.Context, actor Actor, n NewUser) (ownline.User, error) {
	u := ownline.User{
		ID: ownline.NewID[ownline.User](), Name: n.Name, Role: n.Role, Created: now(),
		MustChange: n.MustChange || n.Hash == "" && !actor.User.ID.IsZero(),
	}
	if u.Role == "" {
		u.Role = ownline.Person
	}
	if err := cmp.Or(actor.MustAdmin(), checkUserName(u.Name), checkRole(u.Role)); err != nil {
		return ownline.User{}, err
	}
	hash, err := a.hashFor(n.Password, n.Hash)
	if err != nil {
		return ownline.User{}, err
	}
	_, err = a.change(ctx, actor, func(c *change) error {
		if err := c.AddUser(u, hash); err != nil {
			return err
		}
		c.publish(Event{Kind: EventUser, Owner: u.ID, Resource: u})
		return c.audit("user.add", u.ID.String(), ownline.SiteID{}, u.Name+" as "+string(u.Role))
	})
	if err != nil {
		return ownline.User{}, err
	}
	return u, nil
}

// ChangeUser changes a user (admin). The last enabled admin stays one.
func (a *Access) ChangeUser(ctx context.Context, actor Actor, id ownline.UserID, w UserChange) (u ownline.User, err error) {
	if err := actor.MustAdmin(); err != nil {
		return ownline.User{}, err
	}
	hash := ""
	if w.Password != nil || w.Hash != nil {
		if id == actor.User.ID {
			return ownline.User{}, ownline.Invalid("password", "is your own: change it by PUT /api/v1/me/password, which asks for the present one")
		}
		if hash, err = a.hashFor(deref(w.Password), deref(w.Hash)); err != nil {
			return ownline.User{}, err
		}
	}
	err = a.changeAndEnforce(ctx, actor, func(c *change) (err error) {
		if u, err = c.User(id); err != nil {
			return err
		}
		was := u
		set(&u.Name, w.Name)
		set(&u.Role, w.Role)
		set(&u.Disabled, w.Disabled)
		if hash != "" {
			u.MustChange = w.MustChange || w.Hash == nil && !actor.User.ID.IsZero()
		}
		if u.Name != was.Name {
			if err := checkUserName(u.Name); err != nil {
				return err
			}
		}
		if err := checkRole(u.Role); err != nil {
			return err
		}
		if err := c.SaveUser(u); err != nil {
			return err
		}
		if err := c.keepAdmin(was, u); err != nil {
			return err
		}
		if hash != "" {
			if err := c.SetPassword(id, hash); err != nil {
				return err
			}
		}
		if hash != "" || (u.Disabled && !was.Disabled) {
			if err := c.SignOut(id); err != nil {
				return err
			}
		}
		if u.Disabled != was.Disabled {
			if err := c.userGone(id); err != nil {
				return err
			}
		}
		if was.Role == ownline.Admin && u.Role != ownline.Admin {
			if err := c.onlyGranted(id); err != nil {
				return err
			}
		}
		c.publish(Event{Kind: EventUser, Owner: u.ID, Resource: u})
		return c.audit("user.change", id.String(), ownline.SiteID{}, describeUser(was, u, hash != ""))
	})
	if err != nil {
		return ownline.User{}, err
	}
	return u, nil
}

// hashFor makes the hash to keep of a password, or takes one that is there already.
func (a *Access) hashFor(password, hash string) (string, error) {
	switch {
	case hash == "":
		return a.passwords.Hash(password)
	case password != "":
		return "", ownline.Invalid("password", "and a hash of one can't be given together")
	}
	return hash, a.passwords.CheckHash(hash)
}

// ResetFactors takes a user's second factor, recovery codes and passkeys away (admin), so
// that the password alone lets them in, and signs them out.
func (a *Access) ResetFactors(ctx context.Context, actor Actor, id ownline.UserID) error {
	if err := actor.MustAdmin(); err != nil {
		return err
	}
	_, err := a.change(ctx, actor, func(c *change) error {
		u, err := c.User(id)
		if err != nil {
			return err
		}
		if err := c.ForgetFactors(id); err != nil {
			return err
		}
		if err := c.SignOut(id); err != nil {
			return err
		}
		c.publish(Event{Kind: EventUser, Owner: u.ID, Resource: u}) // their streams look at their logins again
		return c.audit("user.reset_factors", id.String(), ownline.SiteID{}, u.Name)
	})
	return err
}

// RemoveUser removes a user (admin) with their grants, devices, logins and tokens, and ends
// their sessions; history keeps their name.
func (a *Access) RemoveUser(ctx context.Context, actor Actor, id ownline.UserID) error {
	if err := actor.MustAdmin(); err != nil {
		return err
	}
	return a.changeAndEnforce(ctx, actor, func(c *change) error {
		u, err := c.User(id)
		if err != nil {
			return err
		}
		if err := c.userGone(id); err != nil {
			return err
		}
		if err := c.RemoveUser(id, c.now); err != nil {
			return err
		}
		if err := c.keepAdmin(u, ownline.User{}); err != nil {
			return err
		}
		c.publish(Event{Kind: EventUser, Removed: true, Owner: u.ID, Resource: u})
		return c.audit("user.remove", id.String(), ownline.SiteID{}, u.Name)
	})
}

// userGone ends a user's sessions, and makes a revision of every site that knows a device
// of theirs: their knocks count no more, or again.
func (c *change) userGone(id ownline.UserID) error {
	if _, err := c.endAll(ownline.SessionQuery{User: id}, ownline.Revoked, nil); err != nil {
		return err
	}
	ds, err := c.DevicesOf(id)
	if err != nil {
		return err
	}
	for _, d := range ds {
		if err := c.whole(d.Site); err != nil {
			return err
		}
	}
	return nil
}

// onlyGranted ends what a user, and guests of theirs, have open without a grant: who is no
// admin any more needs one.
func (c *change) onlyGranted(id ownline.UserID) error {
	live, err := c.LiveSessions(ownline.SessionQuery{User: id})
	if err != nil {
		return err
	}
	for _, s := range live {
		g, err := c.GrantOf(id, s.Service)
		if err != nil {
			return err
		}
		if !g.ID.IsZero() {
			continue
		}
		if _, err := c.end(s, ownline.Revoked, ""); err != nil {
			return err
		}
	}
	return nil
}

// keepAdmin refuses a change that leaves nobody who could undo it.
func (c *change) keepAdmin(was, is ownline.User) error {
	if was.Role != ownline.Admin || was.Disabled || (is.Role == ownline.Admin && !is.Disabled) {
		return nil
	}
	n, err := c.CountAdmins()
	if err == nil && n == 0 {
		field := "role"
		if is.Disabled {
			field = "disabled"
		}
		err = ownline.Conflict(field, "this is the last admin who can sign in; make another one first")
	}
	return err
}

func describeUser(was, is ownline.User, password bool) string {
	s := is.Name
	if was.Name != is.Name {
		s += ", renamed from " + was.Name
	}
	if was.Role != is.Role {
		s += ", now " + string(is.Role)
	}
	switch {
	case is.Disabled && !was.Disabled:
		s += ", disabled"
	case was.Disabled && !is.Disabled:
		s += ", enabled"
	}
	if password {
		s += ", new password"
	}
	return s
}

// set changes a value when there is a new one.
func set[T any](dst, v *T) {
	if v != nil {
		*dst = *v
	}
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
