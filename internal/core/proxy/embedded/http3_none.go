//go:build !http3

package embedded

import (
	"errors"
	"net/http"
)

// HTTP3 reports whether this build speaks it: it makes core too large for a small router.
const HTTP3 = false

type overQUIC struct{}

func newOverQUIC(*Server) (*overQUIC, error) { return nil, errors.New("built without HTTP/3") }

func (*overQUIC) run() error { return nil }

func (*overQUIC) close() {}

func bodyOf(*http.Request) error { return nil }

func altSvc(uint16) string { return "" }
