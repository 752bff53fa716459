package access

import (
	"context"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// NewGrant is what an admin tells of a new grant; at most one for a user and a service.
type NewGrant struct {
	User          ownline.UserID
	Service       ownline.ServiceID
	Automatic     bool
	PublicPort    uint16
	AllowReserved bool
	MaxDuration   time.Duration
}

// GrantChange changes what is not nil. A change that allows less ends the sessions that
// came of the grant.
type GrantChange struct {
	Automatic     *bool
	PublicPort    *uint16
	AllowReserved *bool
	MaxDuration   *time.Duration
}

// GrantQuery selects grants; zero fields select all.
type GrantQuery struct {
	ownline.Page
	User    ownline.UserID
	Service ownline.ServiceID
}

// Grants lists grants, oldest first: an admin all, others their own.
func (a *Access) Grants(ctx context.Context, actor Actor, q GrantQuery) ([]ownline.Grant, string, error) {
	return nil, "", errUnfinished
}

// Grant returns one of those that Grants lists.
func (a *Access) Grant(ctx context.Context, actor Actor, id ownline.GrantID) (ownline.Grant, error) {
	return ownline.Grant{}, errUnfinished
}

// AddGrant lets a user use a service (admin).
func (a *Access) AddGrant(ctx context.Context, actor Actor, n NewGrant) (ownline.Grant, error) {
	return ownline.Grant{}, errUnfinished
}

// ChangeGrant changes a grant (admin).
func (a *Access) ChangeGrant(ctx context.Context, actor Actor, id ownline.GrantID, c GrantChange) (ownline.Grant, error) {
	return ownline.Grant{}, errUnfinished
}

// RemoveGrant takes a grant away (admin) and ends the sessions that came of it.
func (a *Access) RemoveGrant(ctx context.Context, actor Actor, id ownline.GrantID) error {
	return errUnfinished
}
