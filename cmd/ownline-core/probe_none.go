//go:build noproxy

package main

import "flag"

// There is no room for it in the small build.

const aboutProbe = ""

// noProbe is said to whoever asks for it all the same.
const noProbe = "this ownline-core was built without --probe; leave it out, or use the full build"

// probeFlag has no words: it is offered nowhere.
func probeFlag(f *flag.FlagSet, probe *bool) { f.BoolVar(probe, "probe", false, "") }
