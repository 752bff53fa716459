// Package trustclock answers what time it is on a router, and whether that can be trusted:
// the router's own clock when the kernel says that it is synchronised, else web's time as
// last told plus the monotonic time since, else unknown (spec/knock-v1.md, section 5).
package trustclock

import (
	"sync"
	"time"
)

// Origins of the time that Now returns.
const (
	System  = "system"
	Web     = "web"
	Unknown = "unknown"
)

// Clock is safe for concurrent use.
type Clock struct {
	synced func() bool
	now    func() time.Time

	mu     sync.Mutex // guards the following
	told   time.Time  // web's time
	toldAt time.Time  // now() when it was told; its monotonic reading counts
}

// New makes a clock over the kernel's.
func New() *Clock { return newClock(synchronised, time.Now) }

func newClock(synced func() bool, now func() time.Time) *Clock {
	return &Clock{synced: synced, now: now}
}

// Tell passes on web's time. The link carries it in every command.
func (c *Clock) Tell(web time.Time) {
	if web.IsZero() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told, c.toldAt = web.Round(0), c.now()
}

// Now returns the time and where it is from; with Unknown the time is zero, and nothing
// may be opened.
func (c *Clock) Now() (time.Time, string) {
	if c.synced() {
		return c.now(), System
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told.IsZero() {
		return time.Time{}, Unknown
	}
	return c.told.Add(c.now().Sub(c.toldAt)), Web
}
