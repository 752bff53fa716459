package access

import (
	"context"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// SiteChange changes what is not nil.
type SiteChange struct {
	Name       *string
	Host       *string
	IPv6Prefix *int // bits, 48 to 128; ends the site's IPv6 sessions
}

// Sites lists sites by name: an admin all, others those where they have a grant or a
// device, without what is the admin's business (only ID, Name, Host, Created and
// Health.Connected are set).
func (a *Access) Sites(ctx context.Context, actor Actor) ([]ownline.SiteInfo, error) {
	return nil, errUnfinished
}

// Site returns one of those that Sites lists.
func (a *Access) Site(ctx context.Context, actor Actor, id ownline.SiteID) (ownline.SiteInfo, error) {
	return ownline.SiteInfo{}, errUnfinished
}

// SiteNamed returns one of those that Sites lists, by name.
func (a *Access) SiteNamed(ctx context.Context, actor Actor, name string) (ownline.SiteInfo, error) {
	return ownline.SiteInfo{}, errUnfinished
}

// PairSite pairs with the core of a pairing code and makes its site (admin).
func (a *Access) PairSite(ctx context.Context, actor Actor, code, name, host string) (ownline.SiteInfo, error) {
	return ownline.SiteInfo{}, errUnfinished
}

// ChangeSite changes a site (admin).
func (a *Access) ChangeSite(ctx context.Context, actor Actor, id ownline.SiteID, c SiteChange) (ownline.SiteInfo, error) {
	return ownline.SiteInfo{}, errUnfinished
}

// RemoveSite removes a site (admin) with its services, their grants and its devices, and
// ends its sessions; history keeps them.
func (a *Access) RemoveSite(ctx context.Context, actor Actor, id ownline.SiteID) error {
	return errUnfinished
}

// PingSite asks the site's core how it is (admin), and returns how long that took.
func (a *Access) PingSite(ctx context.Context, actor Actor, id ownline.SiteID) (time.Duration, error) {
	return 0, errUnfinished
}

// ApplySite has the whole state sent to the site's core again and waits until it is applied
// (admin).
func (a *Access) ApplySite(ctx context.Context, actor Actor, id ownline.SiteID) (ownline.SiteInfo, error) {
	return ownline.SiteInfo{}, errUnfinished
}
