package access

import (
	"context"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// Knock decides on a knock that the site's core has verified: in one transaction it makes
// sure that the knock counts for the first time, asks policy, and opens or renews its
// sessions. It returns what core is to apply and to answer, or nil when the sender must not
// learn anything: a repeated knock, an unknown or revoked device.
func (a *Access) Knock(ctx context.Context, site ownline.SiteID, k link.Knocked) (*link.Verdict, error) {
	return nil, errUnfinished
}
