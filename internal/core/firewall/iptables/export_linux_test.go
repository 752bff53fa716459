package iptables

import "time"

// LiftNow has the next Sync put our hooks before others', however lately it did.
func (d *Driver) LiftNow() { d.lifted = time.Time{} }
