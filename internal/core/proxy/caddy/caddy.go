// Package caddy: the driver of the reverse proxy that commands a Caddy which somebody else
// runs, by its admin API. Of Caddy's configuration it owns one server and its certificates,
// whose @id begins with "ownline-", and leaves all else as it is. Who may come in Caddy asks
// core/proxy/gate.
package caddy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

const (
	look    = 2 * time.Second // for new certificates, and a Caddy that has forgotten ours
	whole   = 30              // looks, of which one compares all of ours
	patient = 10              // times that others may change the configuration meanwhile
)

// Config is what a driver is made of.
type Config struct {
	Settings     proxy.Settings
	Listen       []netip.AddrPort // core's own addresses
	Certificates proxy.Certificates
	Admin        string                  // http://ADDRESS:PORT or unix:/path
	Socket       string                  // of the gate
	Word         string                  // by which the gate's answers are known from all others
	Cut          func(ownline.ServiceID) // ends connections to a service that is another one now
	// Only has the gate admit to these versions of services alone.
	Only   func(map[ownline.ServiceID]string)
	Logger *slog.Logger
}

// Driver keeps what is ours in Caddy's configuration.
type Driver struct {
	Config
	admin *admin

	mu      sync.Mutex // guards what is below, and is held while Caddy is spoken to
	want    []link.Service
	applied bool                         // Caddy took it once
	served  map[ownline.ServiceID]string // versions that the gate admits to
	id      string                       // of the server that Caddy should have; "": of none
	err     error
}

// New makes a driver. It does not speak to Caddy yet. Until something is applied the gate admits
// nobody: nobody knows whether Caddy has what it should.
func New(c Config) (*Driver, error) {
	if !filepath.IsAbs(c.Socket) || strings.ContainsAny(c.Socket, "{}") {
		return nil, ownline.Invalid("proxy.gate_socket", fmt.Sprintf("%q must be an absolute path without braces", c.Socket))
	}
	if c.Word == "" {
		return nil, errors.New("the gate has no word")
	}
	a, err := newAdmin(c.Admin)
	if err != nil {
		return nil, err
	}
	d := &Driver{Config: c, admin: a, served: map[ownline.ServiceID]string{}}
	d.Only(d.served)
	return d, nil
}

// Apply makes Caddy serve exactly the services. When Caddy refuses, it goes on as before.
func (d *Driver) Apply(ctx context.Context, services []link.Service) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.apply(ctx, services); err != nil {
		return err
	}
	for _, id := range proxy.Changed(d.want, services) { // Caddy ends requests as they began
		d.Cut(id)
	}
	d.want, d.applied, d.err = slices.Clone(services), true, nil
	return nil
}

// Err tells why Caddy does not have what it had once, or newer certificates.
func (d *Driver) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// Run looks, until ctx ends, whether there are new certificates, and whether Caddy still has
// what it was given: after a start of its own, or when its files are read anew, it has not.
// What is served stays behind: Caddy asks the gate, and without one lets nobody in.
func (d *Driver) Run(ctx context.Context) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		d.mu.Lock()
		if d.applied {
			err := d.look(ctx, n%whole == 0)
			if err != nil && d.err == nil && ctx.Err() == nil {
				d.Logger.Error("Caddy does not have the services any more", logging.Err, err)
			}
			d.err = err
		}
		d.mu.Unlock()
	}
}

// look is cheap as long as nothing is to be done.
func (d *Driver) look(ctx context.Context, whole bool) error {
	want, err := d.render(d.want)
	if err != nil {
		return err
	}
	if !whole && want.id() == d.id {
		id, _, err := d.admin.read(ctx, "/config/apps/http/servers/"+name+"/@id")
		var has string
		if err == nil && json.Unmarshal(id, &has) == nil && has == d.id || d.id == "" {
			return nil
		}
	}
	return d.apply(ctx, d.want)
}

func (w wanted) id() string {
	if w.server == nil {
		return ""
	}
	return w.server.ID
}

// apply changes Caddy's configuration in one step, and only if it has to: with every change
// Caddy starts all of its servers anew, and ends the upgraded connections of all. The gate admits
// to what is new from then on: the servers from before may still take a request by what they have.
func (d *Driver) apply(ctx context.Context, services []link.Service) error {
	want, err := d.render(services)
	if err != nil {
		return err
	}
	d.Only(want.versions)
	if err := d.put(ctx, want); err != nil {
		d.Only(d.served)
		return err
	}
	d.served, d.id = want.versions, want.id()
	return nil
}

func (d *Driver) put(ctx context.Context, want wanted) error {
	for range patient {
		now, tag, err := d.admin.read(ctx, "/config/")
		if err != nil {
			return err
		}
		if tag == "" {
			return errors.New("the admin API of Caddy tells no ETag, without which changes of others could be lost; 2.6 does")
		}
		next, changed, err := merge(now, want)
		if err != nil {
			return err
		}
		if changed {
			if err := d.admin.replace(ctx, next, tag); errors.Is(err, errChanged) {
				continue
			} else if err != nil {
				return err
			}
		}
		return nil
	}
	return errChanged
}

// Close does nothing: the driver holds nothing open.
func (*Driver) Close() error { return nil }
