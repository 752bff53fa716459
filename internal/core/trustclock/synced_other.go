//go:build !linux

package trustclock

// Synchronised reports false: only Linux tells.
func Synchronised() bool { return false }
