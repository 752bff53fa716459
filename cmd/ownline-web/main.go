// Command ownline-web is the server: it decides who may reach what, and commands the cores
// of the sites.
package main

import (
	"context"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ownline/ownline/internal/command"
)

// noAnswer is how long requests wait by which the notification library gives no limit of its
// own: it sends by the default client, which would wait for ever.
const noAnswer = 30 * time.Second

func main() {
	http.DefaultClient.Timeout = noAnswer
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command.Main(ctx, root(), os.Args[1:])
	stop()
	os.Exit(code)
}
