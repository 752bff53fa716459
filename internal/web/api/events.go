package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/auth"
)

const (
	// aliveEvery is how often a quiet stream shows that it is alive, so that proxies keep it,
	// and how long at most a stream outlives a login that has run out.
	aliveEvery = 15 * time.Second
	// writeWithin is how long a reader may take for an event before it is cut off.
	writeWithin = 10 * time.Second
)

func (s *Server) events() {
	op := s.operation(operation{
		method: http.MethodGet, path: "/events", id: "events", who: users, scope: []string{ownline.ScopeRead}, tag: "events",
		summary: "Follow what changes: server-sent events named after resources, with the whole resource as data",
		description: "Events are named session, service, site, device, grant, user and channel (of notifications, for admins); data is the resource as its list has it, " +
			"with removed: true when it is gone. Those named login and refusal tell that somebody has signed in as the user, as GET /logins/attempts has it, and that knocks of a device " +
			"of theirs were refused, as GET /refusals has it, for all that were refused since the last such event. A stream that was cut goes on behind Last-Event-ID; where that is not possible, " +
			"an event named reset says that everything has to be fetched again. An event named end is the last: the login or token is no longer good; reason is disabled or removed where the user is.",
	}, false)
	op.Responses = map[string]*huma.Response{"200": {
		Description: "A stream without an end",
		Content: map[string]*huma.MediaType{"text/event-stream": {
			Schema:  &huma.Schema{Type: huma.TypeString},
			Example: "retry: 2000\nid: 1772366400000000\n\nid: 1772366400000001\nevent: session\ndata: {\"id\": \"" + sample + "\", \"state\": \"active\"}\n\n",
		}},
	}}
	type input struct {
		LastEventID string `header:"Last-Event-ID" maxLength:"32" doc:"The id of the last event that was seen"`
	}
	huma.Register(s.huma, op, func(ctx context.Context, in *input) (*huma.StreamResponse, error) {
		id, _ := ctx.Value(identityKey{}).(auth.Identity)
		return &huma.StreamResponse{Body: func(hctx huma.Context) {
			r, w := humago.Unwrap(hctx)
			err := s.stream(r, w, id, in.LastEventID)
			if err != nil && r.Context().Err() == nil && s.closing.Err() == nil {
				s.log.DebugContext(ctx, "event stream ended", logging.User, id.User.Name, logging.Err, err)
			}
		}}, nil
	})
}

// stream writes events until the reader, the login or the server is gone.
func (s *Server) stream(r *http.Request, w http.ResponseWriter, id auth.Identity, lastID string) error {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)()

	rc := http.NewResponseController(w)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would keep events back
	write := func(format string, args ...any) error {
		if err := rc.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, format, args...); err != nil {
			return err
		}
		return rc.Flush()
	}
	after, err := strconv.ParseUint(lastID, 10, 64)
	first := "retry: 2000\n"
	if lastID != "" && err != nil {
		first += "event: reset\ndata: {}\n"
	}
	stream := s.access.Subscribe(actor(id), after)
	if err := write("%s", first); err != nil {
		return err
	}
	var ev access.Event
	err = errQuiet // the login may have been ended since it let the request in
	for {
		ended := s.auth.Ended() // from before the look at the login, so that no end is missed
		if err == nil || errors.Is(err, errQuiet) || errors.Is(err, access.ErrMissed) {
			// The login may have been ended meanwhile; access judges only the user.
			if now, rerr := s.auth.Recheck(ctx, id); rerr != nil {
				err = rerr
			} else {
				id = now
			}
		}
		switch {
		case isEnd(err): // pages would find out with their next call only
			err = errors.Join(err, write("event: end\ndata: %s\n\n", s.whyEnded(ctx, id)))
		case errors.Is(err, errQuiet):
			// Every pause tells the place, so that a reader that comes back needs no reset.
			err = write(":\nid: %d\n\n", stream.Last())
		case errors.Is(err, access.ErrMissed):
			err = write("id: %d\nevent: reset\ndata: {}\n\n", stream.Last())
		case err == nil:
			err = s.writeEvent(write, ev, actor(id))
		}
		if err != nil {
			return err
		}
		ev, err = nextEvent(ctx, stream, ended)
	}
}

// whyEnded says what became of the user whose stream ends, who could see it until now. Of a login that
// has ended alone there is nothing to say.
func (s *Server) whyEnded(ctx context.Context, id auth.Identity) string {
	u, err := s.access.User(ctx, access.System(), id.User.ID)
	switch {
	case errors.Is(err, ownline.ErrNotFound):
		return `{"reason": "removed"}`
	case err == nil && u.Disabled:
		return `{"reason": "disabled"}`
	}
	return "{}"
}

// isEnd tells whether the reader has lost the right to the stream.
func isEnd(err error) bool {
	return errors.Is(err, ownline.ErrUnauthorized) || errors.Is(err, ownline.ErrForbidden)
}

var errQuiet = errors.New("nothing happened")

// nextEvent waits for an event, but no longer than a stream may be quiet, nor than until a
// login has ended.
func nextEvent(ctx context.Context, stream *access.Stream, ended <-chan struct{}) (access.Event, error) {
	alive, stop := context.WithTimeout(ctx, aliveEvery)
	defer stop()
	wait, cancel := context.WithCancel(alive)
	defer cancel()
	woken := make(chan struct{})
	go func() {
		defer close(woken)
		select {
		case <-ended:
			cancel()
		case <-wait.Done():
		}
	}()
	defer func() {
		cancel()
		<-woken
	}()
	ev, err := stream.Next(wait)
	if err != nil && ctx.Err() == nil && wait.Err() != nil && !isEnd(err) && !errors.Is(err, access.ErrMissed) {
		err = errQuiet // also when it was the store that was interrupted
	}
	return ev, err
}

func (s *Server) writeEvent(write func(string, ...any) error, ev access.Event, a access.Actor) error {
	data, err := json.Marshal(changed{View(ev.Resource, a.Oversees()), ev.Removed})
	if err != nil {
		return err
	}
	return write("id: %d\nevent: %s\ndata: %s\n\n", ev.Seq, ev.Kind, data)
}

// changed is a resource in an event.
type changed struct {
	resource any
	removed  bool
}

// MarshalJSON writes the resource's own keys, and removed beside them.
func (c changed) MarshalJSON() ([]byte, error) {
	b, err := json.Marshal(c.resource)
	if err == nil && c.removed && len(b) > 2 {
		b = append(b[:len(b)-1], `,"removed":true}`...)
	}
	return b, err
}
