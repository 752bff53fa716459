package access

import (
	"context"
	"errors"

	"github.com/ownline/ownline/internal/ownline"
)

// The kinds of event.
const (
	EventSession = "session"
	EventService = "service"
	EventSite    = "site"
	EventDevice  = "device"
	EventGrant   = "grant"
	EventUser    = "user"
)

// Event tells that a resource was made, changed or removed.
type Event struct {
	Seq      uint64         // grows by one with every event; another start of web begins far above
	Kind     string         // one of the kinds above
	Removed  bool           // the resource is gone
	Owner    ownline.UserID // whose it is; zero: nobody's
	Resource any            // ownline.SessionInfo, Service, SiteInfo, Device, Grant or User
}

// ErrMissed says that events were missed: whoever reads must fetch everything again and
// read on from there.
var ErrMissed = errors.New("events missed")

// Stream is one reader's place in the events. Not safe for concurrent use.
type Stream struct{}

// Subscribe returns the events after the one numbered after that the actor may see; 0
// means those from now on.
func (a *Access) Subscribe(actor Actor, after uint64) *Stream { return &Stream{} }

// Next waits for the next event that the actor may see. What they may see is judged anew
// for every event, by the user's present role and grants. ErrMissed is returned once when
// the reader was too slow or came from another start of web; reading on works then.
// ErrForbidden or ErrUnauthorized end the stream: the user is disabled or gone.
func (s *Stream) Next(ctx context.Context) (Event, error) { return Event{}, errUnfinished }
