// Package version tells which Ownline this is.
package version

import "runtime/debug"

// number is set by the build: -ldflags "-X …/internal/version.number=1.2.3".
var number = ""

// String returns the version: what the build set, else the module's, else "devel".
func String() string {
	if number != "" {
		return number
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}
