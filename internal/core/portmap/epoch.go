package portmap

import "time"

// epoch follows the time since a server of PCP or NAT-PMP lost its memory, which all its answers
// carry in seconds.
type epoch struct {
	server uint32
	at     time.Time // when that was heard; zero: never
}

// lost notes what a server says, and reports whether it has lost its memory since it was heard
// last (RFC 6887, section 8.5).
func (e *epoch) lost(server uint32, now time.Time) bool {
	before := *e
	e.server, e.at = server, now
	if before.at.IsZero() {
		return false
	}
	if int64(server) < int64(before.server)-1 {
		return true
	}
	theirs := int64(server) - int64(before.server)
	ours := int64(now.Sub(before.at) / time.Second)
	return ours+2 < theirs-theirs/16 || theirs+2 < ours-ours/16
}
