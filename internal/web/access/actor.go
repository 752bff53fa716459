package access

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/ownline/ownline/internal/ownline"
)

// The ways in which an actor has proved who they are, as the audit log has them.
const (
	ByLogin      = "login"      // a browser's cookie
	ByToken      = "token"      // a bearer token
	ByKnock      = "knock"      // a device's sealed knock
	ByCommand    = "command"    // somebody who may run commands on web's own machine
	BySystem     = "system"     // web itself: something became due
	ByInvitation = "invitation" // a guest who holds an invitation's link
)

// Actor is on whose behalf a use case runs. The zero Actor is nobody and may do nothing.
type Actor struct {
	User   ownline.User // zero for a command and for the system
	By     string       // one of the ways above
	Scopes []string     // of a token; nil for others: not limited
	Client netip.Addr   // where the request came from; zero: from web's own machine
}

// Command is the actor for commands on web's own machine: whoever can open the database is
// an admin.
func Command() Actor { return Actor{By: ByCommand} }

// System is the actor for what web does by itself.
func System() Actor { return Actor{By: BySystem} }

// Admin reports whether the actor may change what admins may. An admin's token of another
// scope is a user's in that.
func (a Actor) Admin() bool { return a.admin(ownline.ScopeAdmin) }

// Oversees reports whether the actor may see what admins may.
func (a Actor) Oversees() bool { return a.admin(ownline.ScopeAdmin, ownline.ScopeRead) }

func (a Actor) admin(scopes ...string) bool {
	switch a.By {
	case ByCommand, BySystem:
		return true
	}
	return a.signedIn() && a.User.Role == ownline.Admin && a.holds(scopes...)
}

// signedIn reports whether the actor is a user who may act at all.
func (a Actor) signedIn() bool { return !a.User.ID.IsZero() && !a.User.Disabled }

// holds reports whether the actor, if it is a token, has one of the scopes, or the full one.
func (a Actor) holds(scopes ...string) bool {
	if a.By != ByToken && a.Scopes == nil {
		return true
	}
	return slices.ContainsFunc(a.Scopes, func(s string) bool { return s == ownline.ScopeFull || slices.Contains(scopes, s) })
}

// May refuses whoever has not proved who they are, and tokens that have none of the scopes.
// Without scopes only a full token will do.
func (a Actor) May(scopes ...string) error {
	switch {
	case a.By == ByCommand, a.By == BySystem:
		return nil
	case a.User.ID.IsZero():
		return ownline.ErrUnauthorized
	case !a.signedIn():
		return ownline.Forbidden("", "this user may not do that")
	case !a.holds(scopes...):
		return ownline.Forbidden("", "this token may not do that: it lacks the scope "+strings.Join(append(scopes, ownline.ScopeFull), " or "))
	}
	return nil
}

// MustAdmin refuses everybody but admins. Of tokens it takes those with the scope admin and,
// where something is only seen, the others that are given.
func (a Actor) MustAdmin(seeing ...string) error {
	scopes := append([]string{ownline.ScopeAdmin}, seeing...)
	if err := a.May(scopes...); err != nil {
		return err
	}
	if !a.admin(scopes...) {
		return ownline.Forbidden("", "only an admin may do that")
	}
	return nil
}

// role is the role that counts for what the actor asks about a user's sessions: an admin's
// token without the scope for it opens no more than a user could.
func (a Actor) role(u ownline.User) ownline.Role {
	if !a.Admin() {
		return ownline.Person
	}
	return u.Role
}

// owns reports whether what belongs to the user is the actor's to change.
func (a Actor) owns(u ownline.UserID) bool { return a.Admin() || a.User.ID == u }

// sees reports whether what belongs to the user is the actor's to see.
func (a Actor) sees(u ownline.UserID) bool { return a.Oversees() || a.User.ID == u }

// onlyOwn narrows a list to what is the actor's own; an admin's stays as it is.
func (a Actor) onlyOwn(u ownline.UserID) (ownline.UserID, error) {
	switch {
	case a.Oversees(), u == a.User.ID:
		return u, nil
	case u.IsZero():
		return a.User.ID, nil
	}
	return u, ownline.NotFound("user", u.String())
}
