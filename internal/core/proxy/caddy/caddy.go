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
	"strings"
	"time"

	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/core/proxy/keeper"
	"github.com/ownline/ownline/internal/link"
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
	Admin        string // http://ADDRESS:PORT or unix:/path
	Socket       string // of the gate
	Badges       string // its folder of those; "": none
	Word         string // by which the gate's answers are known from all others
	Gate         keeper.Gate
	Logger       *slog.Logger
}

// Driver keeps what is ours in Caddy's configuration.
type Driver struct {
	Config
	*keeper.Keeper
	admin *admin

	id    string // of the server that Caddy should have; "": of none
	looks int
}

// New makes a driver. It does not speak to Caddy yet.
func New(c Config) (*Driver, error) {
	if !filepath.IsAbs(c.Socket) || strings.ContainsAny(c.Socket, "{}") {
		return nil, ownline.Invalid("proxy.gate_socket", fmt.Sprintf("%q must be an absolute path without braces", c.Socket))
	}
	if strings.ContainsAny(c.Badges, `{}*?[\`) { // which Caddy would take for a pattern
		c.Badges = ""
	}
	if c.Word == "" {
		return nil, errors.New("the gate has no word")
	}
	a, err := newAdmin(c.Admin)
	if err != nil {
		return nil, err
	}
	d := &Driver{Config: c, admin: a}
	d.Keeper = keeper.New(keeper.Config{
		Gate: c.Gate, Put: d.put, Look: d.look, Each: look,
		Lost: "Caddy does not have the services any more", Logger: c.Logger,
	})
	return d, nil
}

// look is cheap as long as nothing is to be done. After a start of its own, or when its files are read
// anew, Caddy has not what it was given.
func (d *Driver) look(ctx context.Context, services []link.Service, change keeper.Change) error {
	want, err := d.render(services)
	if err != nil {
		return err
	}
	if d.looks++; d.looks%whole != 0 && want.id() == d.id {
		id, _, err := d.admin.read(ctx, "/config/apps/http/servers/"+name+"/@id")
		var has string
		if err == nil && json.Unmarshal(id, &has) == nil && has == d.id || d.id == "" {
			return nil
		}
	}
	return d.put(ctx, services, change)
}

func (w wanted) id() string {
	if w.server == nil {
		return ""
	}
	return w.server.ID
}

// put changes Caddy's configuration in one step, and only if it has to: with every change Caddy starts
// all of its servers anew, and ends the upgraded connections of all. Those from before still take requests for
// a while, and end what they began.
func (d *Driver) put(ctx context.Context, services []link.Service, change keeper.Change) error {
	want, err := d.render(services)
	if err != nil {
		return err
	}
	if err := change(want.versions, func() error { return d.tell(ctx, want) }); err != nil {
		return err
	}
	d.id = want.id()
	return nil
}

func (d *Driver) tell(ctx context.Context, want wanted) error {
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
