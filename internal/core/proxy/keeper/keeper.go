// Package keeper: keeps a server that somebody else runs at what it should serve. The drivers of nginx and
// Caddy say how theirs is told; the keeper when, what the gate admits to meanwhile, and whose connections end.
package keeper

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// Gate is what the server asks who may come in.
type Gate interface {
	// Only has it admit to these versions of services alone.
	Only(versions map[ownline.ServiceID]string)
	// Hold has it admit nobody until Only, since nobody knows who may come in.
	Hold()
	// Cut ends the open connections to a service.
	Cut(service ownline.ServiceID)
}

// Put makes the server serve exactly the services, by change. After an error it serves those from before.
type Put func(ctx context.Context, services []link.Service, change Change) error

// Change has the server told. From then on the gate admits to the new versions alone, and again to those
// from before when tell fails: for a while the server may still take a request by what it had.
type Change func(versions map[ownline.ServiceID]string, tell func() error) error

// Config is what a keeper is made of. It makes one call at a time.
type Config struct {
	Gate   Gate
	Put    Put
	Look   Put           // likewise, every so often, with what is served already
	Each   time.Duration // from one look to the next
	Lost   string        // said in the log when a look fails
	Logger *slog.Logger
}

// Keeper is a driver but for what it is made of. Run it.
type Keeper struct {
	config Config

	mu      sync.Mutex // guards what is below, and is held while the server is told
	want    []link.Service
	applied bool                         // the server took it once
	served  map[ownline.ServiceID]string // versions that the gate admits to
	err     error                        // of the last look
}

// New makes a keeper. Until something is applied the gate admits nobody: nobody knows whether the
// server has what it should.
func New(c Config) *Keeper {
	k := &Keeper{config: c, served: map[ownline.ServiceID]string{}}
	c.Gate.Hold()
	return k
}

// Apply makes the server serve exactly the services.
func (k *Keeper) Apply(ctx context.Context, services []link.Service) error {
	names := map[string]bool{}
	for _, s := range services {
		if names[s.Name] {
			return ownline.Conflict("services", fmt.Sprintf("%q is there twice", s.Name))
		}
		names[s.Name] = true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.config.Put(ctx, services, k.change(services))
	if err == nil {
		k.err = nil
	}
	return err
}

// Err tells why the server does not have what it had once, or newer certificates.
func (k *Keeper) Err() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.err
}

// Run looks every so often, until ctx ends, whether there are new certificates, and whether the server
// still has what it was given. What is served stays: the server asks the gate, and without one lets nobody in.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(k.config.Each)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			k.look(ctx)
		}
	}
}

func (k *Keeper) look(ctx context.Context) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.applied {
		return
	}
	err := k.config.Look(ctx, k.want, k.change(k.want))
	if err != nil && k.err == nil && ctx.Err() == nil {
		k.config.Logger.Error(k.config.Lost, logging.Err, err)
	}
	k.err = err
}

// Close does nothing: a keeper holds nothing open.
func (*Keeper) Close() error { return nil }

func (k *Keeper) change(services []link.Service) Change {
	return func(versions map[ownline.ServiceID]string, tell func() error) error {
		k.config.Gate.Only(versions)
		if err := tell(); err != nil {
			if k.applied {
				k.config.Gate.Only(k.served)
			} else {
				k.config.Gate.Hold()
			}
			return err
		}
		for _, id := range changed(k.want, services) {
			k.config.Gate.Cut(id)
		}
		k.want, k.applied, k.served = slices.Clone(services), true, versions
		return nil
	}
}

// changed returns which of the services that were served are served no more, or are other ones
// now. The server goes on with what it began by what it had, so connections to those have to be cut.
func changed(were, are []link.Service) (ids []ownline.ServiceID) {
	for _, old := range were {
		if !slices.ContainsFunc(are, func(s link.Service) bool { return reflect.DeepEqual(s, old) }) {
			ids = append(ids, old.ID)
		}
	}
	return ids
}
