//go:build noproxy

package core

import "github.com/ownline/ownline/internal/core/session"

// Listed is a session as `ownline-core sessions` prints it. Here none leads to a doorstep, and no router in front is
// asked.
type Listed = session.Session

func plain(s *Listed) *session.Session { return s }

// list returns what is open.
func (c *Core) list() []Listed { return c.book.List() }
