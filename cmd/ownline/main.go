// Command ownline is the command line and agent: it knocks, opens and closes.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/ownline/ownline/internal/cli"
	"github.com/ownline/ownline/internal/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command.Main(ctx, cli.New(demoCommand()), os.Args[1:])
	stop()
	os.Exit(code)
}
