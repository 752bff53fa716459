package access

import (
	"context"
	"errors"

	"github.com/ownline/ownline/internal/ownline"
)

var errUnfinished = errors.New("unfinished")

// NewUser is what an admin tells of a new user.
type NewUser struct {
	Name     string
	Password string
	Role     ownline.Role // "": user
}

// UserChange changes what is not nil.
type UserChange struct {
	Name     *string
	Password *string // ends the user's logins and tokens
	Role     *ownline.Role
	Disabled *bool // true ends the user's sessions, logins and tokens
}

// Users lists users by name (admin), and the cursor of the next page, "" when there is none.
func (a *Access) Users(ctx context.Context, actor Actor, p ownline.Page) ([]ownline.User, string, error) {
	return nil, "", errUnfinished
}

// User returns a user: an admin any, others themselves.
func (a *Access) User(ctx context.Context, actor Actor, id ownline.UserID) (ownline.User, error) {
	return ownline.User{}, errUnfinished
}

// UserNamed returns the user with that name (admin).
func (a *Access) UserNamed(ctx context.Context, actor Actor, name string) (ownline.User, error) {
	return ownline.User{}, errUnfinished
}

// AddUser makes a user (admin).
func (a *Access) AddUser(ctx context.Context, actor Actor, n NewUser) (ownline.User, error) {
	return ownline.User{}, errUnfinished
}

// ChangeUser changes a user (admin). The last enabled admin stays one.
func (a *Access) ChangeUser(ctx context.Context, actor Actor, id ownline.UserID, c UserChange) (ownline.User, error) {
	return ownline.User{}, errUnfinished
}

// RemoveUser removes a user (admin) with their grants, devices, logins and tokens, and ends
// their sessions; history keeps their name.
func (a *Access) RemoveUser(ctx context.Context, actor Actor, id ownline.UserID) error {
	return errUnfinished
}
