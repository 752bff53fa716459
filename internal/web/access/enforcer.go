package access

import (
	"context"
	"net/netip"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// Enforcer has the cores make so what the store holds. Every command carries the revision
// of the transaction that wished for it. What can't be done now is
// ownline.ErrUnavailable: the core then converges with the whole state, later.
type Enforcer interface {
	// Put opens or renews one session; nil means that its packets get through. After
	// ErrUnavailable core may or may not have applied it; after another error it has not.
	Put(ctx context.Context, site ownline.SiteID, revision uint64, s link.Session) error
	// End closes sessions; nil means that none of their packets gets through any more.
	End(ctx context.Context, site ownline.SiteID, revision uint64, ids []ownline.SessionID) error
	// Pass lets a login in at a service, and has core take a code for it.
	Pass(ctx context.Context, site ownline.SiteID, revision uint64, p link.Pass, code, state []byte) error
	// Sync waits until core has applied everything up to the revision.
	Sync(ctx context.Context, site ownline.SiteID, revision uint64) error
	// Health tells how the site's core is reached.
	Health(site ownline.SiteID) ownline.LinkHealth
	// Ping asks the core how it is, and returns how long that took.
	Ping(ctx context.Context, site ownline.SiteID) (time.Duration, error)
	// Preview asks the core what its proxy's configuration would have for a service.
	Preview(ctx context.Context, site ownline.SiteID, s link.Service) (string, error)
	// Reach asks the core whether something answers at a target in the LAN.
	Reach(ctx context.Context, site ownline.SiteID, target netip.AddrPort) (link.Reached, error)
	// Pair makes this web the one that the core of a pairing code obeys.
	Pair(ctx context.Context, code string) (link.Status, error)
	// Moved waits until a site's core is met where the site says, by the key that it says.
	Moved(context.Context, ownline.Site) error
}
