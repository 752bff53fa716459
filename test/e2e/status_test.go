package e2e

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/ownline/ownline/internal/core/session"
	"github.com/ownline/ownline/internal/link"
)

// status asks core.
func (s *suite) status() link.Status {
	s.t.Helper()
	out, err := s.CoreCommand(s.t.Context(), "status", "--json")
	if err != nil {
		s.t.Fatal(err)
	}
	var st link.Status
	if err := json.Unmarshal(out, &st); err != nil {
		s.t.Fatal(err)
	}
	return st
}

// dropped is how many datagrams to the knock port came to nothing.
func (s *suite) dropped() uint64 {
	s.t.Helper()
	var n uint64
	for _, k := range s.status().Knocks.Dropped {
		n += k
	}
	return n
}

// held asks core what it holds open.
func (s *suite) held() []session.Session {
	s.t.Helper()
	out, err := s.CoreCommand(s.t.Context(), "sessions", "--json")
	if err != nil {
		s.t.Fatal(err)
	}
	var l []session.Session
	if err := json.Unmarshal(out, &l); err != nil {
		s.t.Fatal(err)
	}
	return l
}

// waitHolds waits until core holds so many sessions.
func (s *suite) waitHolds(n int) {
	s.t.Helper()
	eventually(s.t, 2*time.Second, fmt.Sprintf("core holds %d sessions", n), func() bool { return len(s.held()) == n })
}
