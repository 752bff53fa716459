package udpknock

import (
	"testing"
	"time"
)

// A port that can't be read any more is told: core ends by it, and does not stand there deaf.
func TestRunFails(t *testing.T) {
	w := newWorld(t, nil)
	done := make(chan error, 1)
	go func() { done <- w.Run(t.Context()) }()
	w.conn.Close()
	select {
	case err := <-done:
		if err == nil {
			t.Error("Run ended without an error")
		}
	case <-time.After(20 * time.Second):
		t.Error("Run goes on without its port")
	}
}
