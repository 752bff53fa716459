package firewalld

import (
	"log/slog"
	"time"
)

// Config is what a Driver is made with. The zero value works.
type Config struct {
	Logger *slog.Logger // nil: nothing is logged

	// Bus is the address of the message bus; "": the system's.
	Bus string
	// UseMark is that of package nft.
	UseMark bool
}

// atOnce is how many rules firewalld is told in one call, which may take it seconds when it has a thousand.
const atOnce = 10

// Promises is what a driver promises where not all of them promise the same. The tests hold this one to it, and
// docs/reference/firewalls.md has it in a table.
type Promises struct {
	Late        time.Duration // a session ends so much after its time at most
	AllAreDead  bool          // and it ends so when neither core nor firewalld runs
	WithoutHelp bool          // new connections get in while firewalld does not run
	Flushed     bool          // and again after others have flushed all rules
}

// Promised is what firewalld can do, and our table in front of it.
var Promised = Promises{Late: 100 * time.Millisecond, AllAreDead: true}
