package agent

import "time"

// jump is by how much the wall clock and the one that timers go by must differ to have jumped.
const jump = 5 * time.Second

// clock tells a time for the schedule that counts sleep and never goes back. The clock that
// timers go by stands still on some systems while the machine sleeps, and the wall clock can
// be set.
type clock struct {
	wall func() time.Time

	lastWall, last, now time.Time
}

// read also reports whether the machine has slept, or its clock was set, since the last time.
func (c *clock) read() (now time.Time, jumped bool) {
	wall, steady := c.wall().Round(0), time.Now()
	if c.now.IsZero() {
		c.now = wall
	} else {
		byWall, bySteady := wall.Sub(c.lastWall), steady.Sub(c.last)
		c.now = c.now.Add(max(byWall, bySteady, 0))
		jumped = (byWall - bySteady).Abs() > jump
	}
	c.lastWall, c.last = wall, steady
	return c.now, jumped
}
