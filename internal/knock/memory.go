package knock

import "time"

// Memory decides whether a device's knock was seen before: its nonce must be new and its
// timestamp above the floor, which is the newest accepted timestamp minus twice the skew.
// It forgets nonces at or below the floor, because the floor alone refuses them, so it
// stays small however long it lives.
//
// This is the same rule that web keeps in its database with the last word; core holds it
// in memory in front of that. The zero Memory has seen nothing. Not safe for concurrent
// use.
type Memory struct {
	floor time.Time
	seen  map[Nonce]time.Time
}

// Accept records the knock and reports whether it was new.
func (m *Memory) Accept(n Nonce, made time.Time, skew time.Duration) bool {
	if !made.After(m.floor) {
		return false
	}
	if _, dup := m.seen[n]; dup {
		return false
	}
	if m.seen == nil {
		m.seen = make(map[Nonce]time.Time)
	}
	m.seen[n] = made
	if floor := made.Add(-2 * skew); floor.After(m.floor) {
		m.floor = floor
		for old, t := range m.seen {
			if !t.After(floor) {
				delete(m.seen, old)
			}
		}
	}
	return true
}
