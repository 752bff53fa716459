//go:build noproxy

package main

import "flag"

// There is no room for it in the small build.

const aboutProbe = ""

func probeFlag(*flag.FlagSet, *bool) {}
