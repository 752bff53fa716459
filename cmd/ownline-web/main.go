// Command ownline-web is the server: it decides who may reach what, and commands the cores
// of the sites.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/ownline/ownline/internal/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command.Main(ctx, root(), os.Args[1:])
	stop()
	os.Exit(code)
}
