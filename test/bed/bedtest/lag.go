package bedtest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Lag watches how late this machine wakes those who sleep, and tells the most so far. What a
// test sees, it sees by that much later than the kernel did it.
func Lag(t *testing.T) (most func() time.Duration) {
	const nap = 5 * time.Millisecond
	var worst atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			start := time.Now()
			select {
			case <-stop:
				return
			case <-time.After(nap):
				worst.Store(max(worst.Load(), int64(time.Since(start)-nap)))
			}
		}
	})
	t.Cleanup(func() { close(stop); wg.Wait() })
	return func() time.Duration { return time.Duration(worst.Load()) }
}
