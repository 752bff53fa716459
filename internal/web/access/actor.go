package access

import (
	"net/netip"
	"slices"

	"github.com/ownline/ownline/internal/ownline"
)

// The ways in which an actor has proved who they are, as the audit log has them.
const (
	ByLogin   = "login"   // a browser's cookie
	ByToken   = "token"   // a bearer token
	ByKnock   = "knock"   // a device's sealed knock
	ByCommand = "command" // somebody who may run commands on web's own machine
	BySystem  = "system"  // web itself: something became due
)

// ScopeFull lets a token do all that its user may.
const ScopeFull = "full"

// Actor is on whose behalf a use case runs. The zero Actor is nobody and may do nothing.
type Actor struct {
	User   ownline.User // zero for a command and for the system
	By     string       // one of the ways above
	Scopes []string     // of a token; nil: not limited
	Client netip.Addr   // where the request came from; zero: from web's own machine
}

// Command is the actor for commands on web's own machine: whoever can open the database is
// an admin.
func Command() Actor { return Actor{By: ByCommand} }

// System is the actor for what web does by itself.
func System() Actor { return Actor{By: BySystem} }

// Admin reports whether the actor may do what admins may.
func (a Actor) Admin() bool {
	switch a.By {
	case ByCommand, BySystem:
		return true
	}
	return a.signedIn() && a.User.Role == ownline.Admin
}

// signedIn reports whether the actor is a user who may act at all.
func (a Actor) signedIn() bool {
	return !a.User.ID.IsZero() && !a.User.Disabled && (a.Scopes == nil || slices.Contains(a.Scopes, ScopeFull))
}

// may refuses whoever has not proved who they are.
func (a Actor) may() error {
	switch {
	case a.Admin(), a.signedIn():
		return nil
	case a.User.ID.IsZero():
		return ownline.ErrUnauthorized
	}
	return ownline.Forbidden("", "this token or user may not do that")
}

// mustAdmin refuses everybody but admins.
func (a Actor) mustAdmin() error {
	if err := a.may(); err != nil {
		return err
	}
	if !a.Admin() {
		return ownline.Forbidden("", "only an admin may do that")
	}
	return nil
}

// owns reports whether what belongs to the user is the actor's to see and change.
func (a Actor) owns(u ownline.UserID) bool { return a.Admin() || a.User.ID == u }

// onlyOwn narrows a list to what is the actor's own; an admin's stays as it is.
func (a Actor) onlyOwn(u ownline.UserID) (ownline.UserID, error) {
	switch {
	case a.Admin(), u == a.User.ID:
		return u, nil
	case u.IsZero():
		return a.User.ID, nil
	}
	return u, ownline.NotFound("user", u.String())
}
