// Command ownline-core is the daemon on the router: it opens services to single addresses
// for a limited time, as ownline-web tells it to.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

func main() {
	// A router has little memory, and core makes little garbage: collecting it early is cheap.
	setGarbage(40)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// setGarbage says how much garbage may gather, in percent of the memory in use, unless the
// environment does (package runtime).
func setGarbage(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}
