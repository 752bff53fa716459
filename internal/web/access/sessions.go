package access

import (
	"context"
	"net/netip"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// OpenAsk asks for a session.
type OpenAsk struct {
	Service        ownline.ServiceID
	For            time.Duration // 0: the default; more than allowed: what is allowed
	PublicPort     uint16        // 0: any
	Source         netip.Addr    // zero: the address the actor comes from; another only by an admin
	IdempotencyKey string        // "": none; the same key gives the same session for 24 h
}

// SessionsAsk selects sessions.
type SessionsAsk struct {
	ownline.SessionQuery
	All bool // everybody's (admin); otherwise the actor's own, or those of SessionQuery.User (admin)
}

// Sessions lists sessions, newest first, and the cursor of the next page.
func (a *Access) Sessions(ctx context.Context, actor Actor, q SessionsAsk) ([]ownline.SessionInfo, string, error) {
	return nil, "", errUnfinished
}

// Session returns a session: an admin any, others their own.
func (a *Access) Session(ctx context.Context, actor Actor, id ownline.SessionID) (ownline.SessionInfo, error) {
	return ownline.SessionInfo{}, errUnfinished
}

// Open opens a session, or renews the live one that the same user has for the same service
// and source. It returns once core has applied it. ErrUnavailable: core can't be reached,
// and nothing is open nor will be.
func (a *Access) Open(ctx context.Context, actor Actor, ask OpenAsk) (ownline.SessionInfo, error) {
	return ownline.SessionInfo{}, errUnfinished
}

// Renew lets a session last for the given time from now (0: the default), but no shorter
// than before. It returns once core has applied it; after an error the session ends when it
// would have ended before.
func (a *Access) Renew(ctx context.Context, actor Actor, id ownline.SessionID, d time.Duration) (ownline.SessionInfo, error) {
	return ownline.SessionInfo{}, errUnfinished
}

// Close ends a session at once. One that is over stays as it is. When core can't be reached
// the session is over nevertheless, and core learns of it as soon as it can be.
func (a *Access) Close(ctx context.Context, actor Actor, id ownline.SessionID) (ownline.SessionInfo, error) {
	return ownline.SessionInfo{}, errUnfinished
}

// Flush ends the actor's sessions, or everybody's (admin), and returns how many.
func (a *Access) Flush(ctx context.Context, actor Actor, all bool) (int, error) {
	return 0, errUnfinished
}
