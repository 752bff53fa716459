package core

import (
	"testing"
	"testing/synctest"

	"github.com/ownline/ownline/internal/link"
)

func TestHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		if h.send(link.Event{}) {
			t.Error("somebody listens before anybody has subscribed")
		}
		slow := h.subscribe(t.Context(), link.Event{Type: link.EventHello})
		for range eventBuffer + 1 {
			h.send(link.Event{Type: link.EventAlive})
		}
		n := 0
		for range slow {
			n++
		}
		if n != eventBuffer || h.connected() {
			t.Errorf("a slow reader got %d events and is connected %v; want it cut off", n, h.connected())
		}
		cut := h.subscribe(t.Context(), link.Event{Type: link.EventHello})
		h.cut()
		if ev := <-cut; ev.Type != link.EventHello {
			t.Errorf("first event %+v", ev)
		}
		if _, open := <-cut; open {
			t.Error("a stream goes on after the cut")
		}
	})
}
