package apiclient

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// Event tells that a resource was made, changed or removed.
type Event struct {
	ID   string
	Kind string          // "session", "service", …; "reset": fetch everything again
	Data json.RawMessage // the resource; with "removed": true when it is gone
}

// How a stream that was cut is taken up again.
const (
	firstPause   = time.Second
	longestPause = 15 * time.Second
	silence      = time.Minute // the server shows every 15 seconds that it is alive
	longestLine  = 1 << 20
)

// Events calls f with everything that happens from now on, until ctx ends, f fails or the
// server refuses. A stream that is cut goes on where it was; a server that can't be reached
// is told to wait, once, and tried again.
func (c *Client) Events(ctx context.Context, wait func(error), f func(Event) error) error {
	pause, last := firstPause, ""
	for {
		seen := last
		err := c.stream(ctx, &last, f)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.Is(err, ownline.ErrUnavailable):
			return err
		}
		if last != seen {
			pause = firstPause
		}
		wait(err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, longestPause)
	}
}

// stream reads one stream; its end is ErrUnavailable.
func (c *Client) stream(ctx context.Context, last *string, f func(Event) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := c.request(ctx, http.MethodGet, "/events", nil, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	if *last != "" {
		req.Header.Set("Last-Event-ID", *last)
	}
	quiet := time.AfterFunc(silence, cancel)
	defer quiet.Stop()
	resp, err := (&http.Client{Transport: c.Transport, CheckRedirect: noRedirect}).Do(req)
	if err != nil {
		return c.unreachable(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		_, err := c.answer(resp)
		return err
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, longestLine)
	var ev Event
	for lines.Scan() {
		quiet.Reset(silence)
		key, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch key {
		case "id":
			ev.ID, *last = value, value
		case "event":
			ev.Kind = value
		case "data":
			ev.Data = json.RawMessage(value)
		case "": // the end of an event, or a comment
			if lines.Text() == "" && ev.Kind != "" {
				if err := f(ev); err != nil {
					return err
				}
			}
			if lines.Text() == "" {
				ev = Event{}
			}
		}
	}
	return fmt.Errorf("the stream of events was cut: %w", ownline.ErrUnavailable)
}
