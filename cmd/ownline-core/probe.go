//go:build !noproxy

package main

import "flag"

const aboutProbe = `

With --probe, it also sends real packets, as those of the sessions that are open: not through the
router, but through a copy of its interfaces, settings and rules in a network namespace, which goes
with this command, however that ends. Nothing leaves the router, and no rule of it changes.`

const noProbe = ""

func probeFlag(f *flag.FlagSet, probe *bool) {
	f.BoolVar(probe, "probe", false, "also send packets through a copy of this router's rules")
}
