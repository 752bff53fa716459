package trustclock

import "golang.org/x/sys/unix"

// synchronised reports whether the kernel's clock is disciplined by NTP or the like
// (adjtimex(2): the state is not TIME_ERROR and STA_UNSYNC is not set).
func synchronised() bool {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	const timeError, staUnsync = 5, 0x0040
	return err == nil && state != timeError && t.Status&staUnsync == 0
}
