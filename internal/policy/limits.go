package policy

import "time"

// Limits are the part of the configuration that decisions depend on.
type Limits struct {
	Default   time.Duration // of a session that a person opens without saying how long
	Max       time.Duration // of any session
	Automatic time.Duration // of a session that a knock opens without saying how long
	PortMin   uint16        // first public port that may be chosen
	PortMax   uint16        // last one
}
