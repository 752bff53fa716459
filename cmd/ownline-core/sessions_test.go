//go:build !noproxy

package main

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/core"
	"github.com/ownline/ownline/internal/core/portmap"
	"github.com/ownline/ownline/internal/core/session"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// What leads a guest to the doorstep stands apart from what is open, and the router in front where it is asked.
func TestSessionsListed(t *testing.T) {
	one := core.Listed{Session: session.Session{Session: link.Session{Service: "nas", User: "ana", PublicPort: 20000}}}
	guest := one
	guest.Doorstep, guest.Service, guest.PublicPort = true, ownline.Doorstep, 9999
	asked := func(p portmap.FrontPort) core.Listed {
		l := one
		l.InFront = &p
		return l
	}
	for name, tc := range map[string]struct {
		list  []core.Listed
		want  []string
		never string
	}{
		"nothing":      {nil, []string{"Nothing is open.\n"}, "ROUTER"},
		"one":          {[]core.Listed{one}, []string{"20000/", "nas"}, "ROUTER"},
		"a guest":      {[]core.Listed{guest, one}, []string{"nas", "\n\nAT THE DOORSTEP", "9999/"}, ownline.Doorstep},
		"a guest only": {[]core.Listed{guest}, []string{"Nothing is open.", "AT THE DOORSTEP"}, "ROUTER"},
		"in front": {[]core.Listed{
			one, asked(portmap.FrontPort{Open: true, For: []netip.Addr{netip.MustParseAddr("198.51.100.7")}}), asked(portmap.FrontPort{Open: true}), asked(portmap.FrontPort{Error: "no"}),
		}, []string{"ROUTER IN FRONT\n", " not asked\n", " open to its source\n", " open to everybody\n", " SHUT: no\n"}, "DOORSTEP"},
	} {
		var out strings.Builder
		if err := printSessions(&out, tc.list); err != nil {
			t.Fatal(err)
		}
		rest, ok := out.String(), true
		for _, w := range tc.want {
			_, rest, ok = strings.Cut(rest, w)
			if !ok {
				t.Errorf("%s: lacks %q:\n%s", name, w, &out)
			}
		}
		if strings.Contains(out.String(), tc.never) {
			t.Errorf("%s: has %q:\n%s", name, tc.never, &out)
		}
	}
	var out strings.Builder
	if err := printStatus(&out, link.Status{Sessions: 2, DoorstepSessions: 1}); err != nil || !strings.Contains(out.String(), "2, and 1 that lead guests to the doorstep\n") {
		t.Errorf("the status is %v\n%s", err, &out)
	}
}
