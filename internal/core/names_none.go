//go:build noproxy

package core

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// names serves nothing: this core was built for a router without room for the proxy.
type names struct{}

func checkNames(cfg config.Core) error {
	if cfg.Proxy.Serves() {
		return ownline.Invalid("proxy.domain", "this ownline-core was built without the reverse proxy; leave it empty, or use the full build")
	}
	return nil
}

func newNames(_ config.Core, _ func(ownline.ServiceID, netip.Addr) (context.Context, bool), _ *slog.Logger) (*names, error) {
	return nil, nil
}

func (*names) at([]netip.Prefix) firewall.Proxy { return firewall.Proxy{} }

func (*names) onPublic(func(context.Context) error) {}

// Inspect reports nothing: without a proxy nothing of the machine is named.
func Inspect(config.Core, func(key, detail string)) {}

func (*names) set([]link.Service, []netip.Prefix) {}

func (*names) preview(context.Context, link.Service, []netip.Prefix) (string, error) {
	return "", errNoConfiguration
}

func (*names) pass(link.State, func(time.Time) time.Time) {}

func (*names) put(link.PutPass, time.Time) error { return errNoProxy }

func (*names) certifies(*link.Server) {}

func (*names) expect(*link.Doorstep, time.Time, []netip.Prefix) error { return nil }

func (*names) status() link.Proxy { return link.Proxy{Driver: ownline.NoProxy, OK: true} }

// Run does nothing.
func (*names) Run(context.Context) error { return nil }

// Close does nothing.
func (*names) Close() error { return nil }
