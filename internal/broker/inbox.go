package broker

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Handler takes a message. It may take its time: others of the same topic are handled beside it.
type Handler func(ctx context.Context, payload []byte)

// Inbox hands messages to the handlers of their topics. However many arrive, memory is
// bounded, and messages of one topic never wait for those of another. Give it its handlers
// before it runs. Safe for concurrent use.
type Inbox struct {
	topics  map[string]topic
	taken   atomic.Uint64
	dropped atomic.Uint64
}

// topic is one that has a handler.
type topic struct {
	handler Handler
	queue   chan []byte // payloads
}

// NewInbox makes an Inbox; it starts nothing.
func NewInbox() *Inbox { return &Inbox{topics: make(map[string]topic)} }

// Handle has h called for every message to the topic that is taken.
func (i *Inbox) Handle(name string, h Handler) {
	i.topics[name] = topic{h, make(chan []byte, maxQueue)}
}

// Take queues a message and never waits. Not ok: nobody handles the topic, or too many
// messages wait already. The first that is dropped for that is told by first.
func (i *Inbox) Take(name string, payload []byte) (ok, first bool) {
	t, known := i.topics[name]
	if !known {
		return false, false
	}
	select {
	case t.queue <- payload:
		i.taken.Add(1)
		return true, false
	default: // a flood: an honest guest or device tries again
		return false, i.dropped.Add(1) == 1
	}
}

// Run calls the handlers until ctx ends.
func (i *Inbox) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, t := range i.topics {
		for range workers {
			g.Go(func() error {
				t.work(ctx)
				return nil
			})
		}
	}
	return g.Wait()
}

func (t topic) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case payload := <-t.queue:
			t.handler(ctx, payload)
		}
	}
}

// Counts tells how many messages were taken since the start, and how many were dropped
// because too many waited.
func (i *Inbox) Counts() (taken, dropped uint64) { return i.taken.Load(), i.dropped.Load() }
