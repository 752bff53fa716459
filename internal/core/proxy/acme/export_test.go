package acme

import "time"

// Hurry makes the source look after its certificates, and try again, that often.
func (c *Config) Hurry(every time.Duration) { c.look, c.retry = every, []time.Duration{every} }

// Wait makes the source look after its certificates as rarely as it really does.
func (c *Config) Wait() { c.look = 0 }
