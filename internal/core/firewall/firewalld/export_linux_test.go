package firewalld

import "time"

// Wait sets how long firewalld may take for an answer.
func (d *Driver) Wait(t time.Duration) { d.bus.wait = t }
