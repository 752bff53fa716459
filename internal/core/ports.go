//go:build !noproxy

package core

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/core/portmap"
	"github.com/ownline/ownline/internal/core/session"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/wholefile"
)

// ports has the router in front lead public ports here. A nil one asks no router.
type ports struct{ keeper *portmap.Keeper }

func checkPorts(config.Core) error { return nil }

const portsKeyFile = "ports.key"

func (c *Core) newPorts() (*ports, error) {
	if c.cfg.Ports.Open == ownline.NoPorts {
		return nil, nil
	}
	file := c.state.file(portsKeyFile)
	secret, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		secret = []byte(rand.Text())
		err = wholefile.Write(file, secret, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("state_dir: %w", err)
	}
	return &ports{portmap.New(portmap.Config{
		Protocol: c.cfg.Ports.Open, Router: c.host.gateway4, Want: c.openings, Secret: secret, Logger: c.log,
	})}, nil
}

// openings are all the ports that the router in front is to lead here. It translates IPv4 alone.
func (c *Core) openings() []portmap.Opening {
	var all []portmap.Opening
	if c.cfg.Ports.Knock {
		for _, port := range []uint16{c.door.Port(), c.door.FwknopPort()} {
			if port != 0 {
				all = append(all, portmap.Opening{Transport: ownline.UDP, Port: port})
			}
		}
	}
	for _, s := range c.book.List() {
		if s.Source.Addr().Is4() {
			all = append(all, portmap.Opening{Transport: s.Transport, Port: s.PublicPort, Sources: []netip.Addr{s.Source.Addr()}, Until: s.Until})
		}
	}
	for _, p := range c.names.at(nil).Public {
		if p.Addr().Is4() {
			all = append(all, portmap.Opening{Transport: ownline.TCP, Port: p.Port(), Until: p.Until})
		}
	}
	return all
}

// wake says that something else may be wanted.
func (p *ports) wake() {
	if p != nil {
		p.keeper.Wake()
	}
}

// wait returns once the router was asked for all that is wanted now; after a moment in any case.
func (p *ports) wait(ctx context.Context) {
	if p != nil {
		p.keeper.Wait(ctx)
	}
}

const notAsked = "it was not asked yet"

// of tells how the router in front is to the port of a session; nil: it is not asked for that.
func (p *ports) of(s *session.Session) *portmap.FrontPort {
	if p == nil || !s.Source.Addr().Is4() {
		return nil
	}
	port, asked := p.keeper.Port(s.Transport, s.PublicPort)
	if whole := p.keeper.Status(); whole.Protocol == "" { // what it was told before, it may have forgotten
		port = portmap.FrontPort{Error: cmp.Or(whole.Error, notAsked)}
	} else if !asked {
		port = portmap.FrontPort{Error: notAsked}
	}
	return &port
}

func (p *ports) status() *link.Ports {
	if p == nil {
		return nil
	}
	s := p.keeper.Status()
	return &s
}

// Run works until ctx ends.
func (p *ports) Run(ctx context.Context) error {
	if p == nil {
		return nil
	}
	return p.keeper.Run(ctx)
}
