package core

import (
	"context"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/link"
)

const (
	eventBuffer = 1024
	aliveEvery  = 10 * time.Second
)

// hub hands every event to every web that listens. One that reads too slowly is cut off:
// it asks for everything again when it comes back.
type hub struct {
	mu   sync.Mutex // guards subs
	subs map[chan link.Event]struct{}
}

func newHub() *hub { return &hub{subs: make(map[chan link.Event]struct{})} }

// send never blocks. It reports whether anybody listens.
func (h *hub) send(ev link.Event) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.subs {
		select {
		case c <- ev:
		default:
			delete(h.subs, c)
			close(c)
		}
	}
	return len(h.subs) > 0
}

func (h *hub) connected() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.subs) > 0
}

// cut ends every stream.
func (h *hub) cut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.subs {
		close(c)
	}
	clear(h.subs)
}

// subscribe returns the events from now on, hello first. The channel is closed when ctx
// ends or the reader is too slow.
func (h *hub) subscribe(ctx context.Context, hello link.Event) <-chan link.Event {
	c := make(chan link.Event, eventBuffer)
	c <- hello
	h.mu.Lock()
	h.subs[c] = struct{}{}
	h.mu.Unlock()
	context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if _, ok := h.subs[c]; ok {
			delete(h.subs, c)
			close(c)
		}
	})
	return c
}

// Run sends a sign of life now and then, so that a dead link is noticed.
func (h *hub) Run(ctx context.Context) error {
	alive := time.NewTicker(aliveEvery)
	defer alive.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-alive.C:
			h.send(link.Event{Type: link.EventAlive})
		}
	}
}
