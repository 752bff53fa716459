// Package app plays the journeys of people who use the app: the real programs on a bed, a real
// broker, and Debian's Chromium on the client's host, with nothing but its own way to the router.
//
// A journey is a file NAME.mjs here that calls journey of harness.mjs, and a name in TestJourney.
// Those of one line share a house, one after the other: each brings services of its own, and leaves
// nobody's session open.
// It drives browsers with playwright-core, and what people do elsewhere, stop a server, open a
// session from a laptop at home, it asks of the world, which house.do answers. The pages are those
// that were built last (`make pages`). OWNLINE_SCREENSHOTS=FOLDER keeps what a journey shoots.
package app

import (
	"testing"

	"github.com/ownline/ownline/test/world"
	"github.com/ownline/ownline/test/world/worldtest"
)

var programs world.Programs

func TestMain(m *testing.M) { worldtest.Main(m, &programs) }

func TestJourney(t *testing.T) {
	for _, shared := range [][]string{
		{"client"},  // invariants 1 to 3: enrolled in a browser, it knocks with no server in reach
		{"version"}, // a newer app waits until it is asked for
		{"admin"},   // invariant 7: users, services, grants, sites and the log, and nobody else sees them
		{
			"open",    // invariants 1 and 4: a tap opens for this address alone, undo and close shut
			"end",     // invariant 4: what nobody extends ends
			"two",     // two browsers say the same, whatever happens to the stream between
			"core",    // invariant 4: what is open goes on without core, and nothing else opens
			"away",    // the server goes and comes back
			"refused", // what is refused opens nothing
			"signin",  // invariant 9: a wrong password is told from a right one, and says no more; codes and passkeys
			"setup",   // from the link of the first start to the first service; all before is gone
		},
		{
			"device",  // invariants 2 and 4: enrolled by its code, rotated, revoked
			"guest",   // invariants 1, 3 and 4: invited, in, and out again
			"single",  // invariants 1 and 4: the one use of the only invitation; its guest's page stays whole
			"history", // invariant 7: what ended, and nobody else sees it
			"keyboard",
			"moved",   // invariant 3: what is open belongs to one address
			"spanish", // every page, at two widths
		},
	} {
		var h *house
		for _, name := range shared {
			t.Run(name, func(one *testing.T) {
				if h == nil {
					h = newHouse(t)
				}
				h.play(one, name)
			})
		}
	}
}
