// Package core builds the router daemon from its rooms and runs them: udpknock, the door;
// session, the book of what must be open; reconcile, which makes the firewall follow the
// book; and the link by which web commands it all.
package core

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/reconcile"
	"github.com/ownline/ownline/internal/core/session"
	"github.com/ownline/ownline/internal/core/trustclock"
	"github.com/ownline/ownline/internal/core/udpknock"
	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/knock/fwknop"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// Core is the router daemon.
type Core struct {
	cfg     config.Core
	version string
	log     *slog.Logger
	run     string // names this run, by which web tells its counters from those of the one before
	started time.Time

	state      *stateDir
	pairing    *pairing
	host       *host
	clock      *trustclock.Clock
	hub        *hub
	driver     kernel
	driverName string
	book       *session.Book
	reconciler *reconcile.Reconciler
	door       *udpknock.Door
	names      *names
	ports      *ports
	lanTurn    sync.Mutex    // held from asking how the LAN is until the reconciler knows
	inside     []link.Inside // as web wants it; guarded by lanTurn
	link       *link.Server
	listener   net.Listener // nil when core only dials
}

// Check tells what this build can't do of what is set, without doing anything.
func Check(cfg config.Core) error {
	if err := checkNames(cfg); err != nil {
		return err
	}
	return checkPorts(cfg)
}

// New takes the ports, reads the state directory and finds out what the kernel can do. It
// starts nothing and changes no rule.
func New(cfg config.Core, version string, log *slog.Logger) (_ *Core, err error) {
	c := &Core{cfg: cfg, version: version, log: log, run: rand.Text(), started: time.Now(), clock: trustclock.New(), hub: newHub()}
	var closers []func() error
	defer func() {
		if err != nil {
			for _, f := range closers {
				_ = f() // the first error is the one to tell
			}
		}
	}()
	var id *link.Identity
	if c.state, id, err = openState(cfg.StateDir); err != nil {
		return nil, err
	}
	c.pairing = &pairing{pin: id.Pin(), listen: cfg.Link.Listen, state: c.state, log: log}
	driver, name, err := openFirewall(context.Background(), cfg.Firewall.Driver, log)
	if err != nil {
		return nil, fmt.Errorf("firewall: %w", err)
	}
	c.driver, c.driverName = driver, name
	closers = append(closers, c.driver.Close)
	if cfg.Link.Listen != "" {
		if c.listener, err = net.Listen("tcp", cfg.Link.Listen); err != nil {
			return nil, fmt.Errorf("link.listen: %w", err)
		}
		closers = append(closers, c.listener.Close)
	}
	if c.host, err = newHost(cfg, c.ownPorts(), log); err != nil {
		return nil, err
	}
	c.host.v4 = driver.v4
	c.book = session.New(c.admit)
	c.door, err = udpknock.New(udpknock.Config{
		Listen: cfg.Knock.Listen, Fwknop: cfg.Knock.FwknopListen, Skew: cfg.Knock.MaxClockSkew, Answer: cfg.Knock.Answer,
		LocalNetworks: c.host.localNetworks,
		Deliver:       func(k link.Knocked) bool { return c.hub.send(link.Event{Type: link.EventKnock, Knock: &k}) },
		DeliverFwknop: func(p link.Fwknop) bool { return c.hub.send(link.Event{Type: link.EventFwknop, Fwknop: &p}) },
		Hints:         func(h []firewall.Hint) { c.reconciler.SetHints(h) },
	}, c.clock)
	if err != nil {
		return nil, err
	}
	if err = Check(cfg); err != nil {
		return nil, err
	}
	if c.names, err = newNames(cfg, c.mayReach, log); err != nil {
		return nil, err
	}
	closers = append(closers, c.names.Close)
	c.host.looked = c.setLAN
	c.names.onPublic(func(ctx context.Context) error {
		c.setLAN()
		err := c.reconciler.Apply(ctx)
		c.ports.wait(ctx)
		return err
	})
	if c.ports, err = c.newPorts(); err != nil {
		return nil, err
	}
	c.reconciler = reconcile.New(c.book, c.driver, firewall.Settings{
		WAN: cfg.Firewall.WANInterfaces, Masquerade: cfg.Firewall.Masquerade, IPv6Prefix: c.ipv6Prefix(),
		KnockPort: c.door.Port(), KnockLength: knock.Size, Fwknop: fwknopShape(c.door.FwknopPort()), Proxy: c.proxyAt(),
		Gateways: c.host.gateways(),
	}, func(ev link.Event) { c.hub.send(ev) }, log)
	c.reconciler.OnApplied(c.ports.wake)
	c.link = link.NewServer(id, commands{c}, log)
	c.names.certifies(c.link)
	return c, nil
}

// fwknopSpare is what a line of 100 Mbit/s brings.
const fwknopSpare = 50_000

// fwknopShape is what fwknop.Shaped asks of a packet, as far as the kernel can ask for it.
func fwknopShape(port uint16) firewall.Shape {
	return firewall.Shape{
		Port: port, Min: fwknop.MinSize, Max: fwknop.MaxSize,
		FirstBits: []firewall.Bits{{Mask: 0xfe, Value: '8'}, {Mask: 0xfb, Value: '+'}}, // 8 or 9, + or /
		Spare:     fwknopSpare,
	}
}

func (c *Core) proxyAt() firewall.Proxy { return c.names.at(c.host.localNetworks()) }

// setLAN tells the reconciler where the proxy is now, who may come, and what else is led into the LAN.
func (c *Core) setLAN() {
	c.lanTurn.Lock()
	defer c.lanTurn.Unlock()
	c.reconciler.SetProxy(c.proxyAt())
	c.reconciler.SetInside(c.host.hairpins(c.inside), c.host.gateways())
}

// setInside replaces what web wants to be led into the LAN. The firewall follows with what is applied next.
func (c *Core) setInside(want []link.Inside) {
	c.lanTurn.Lock()
	c.inside = want
	c.lanTurn.Unlock()
	c.setLAN()
}

// ownPorts are those that core listens on where others could see it.
func (c *Core) ownPorts() []firewall.Port {
	ports := []firewall.Port{{Transport: ownline.UDP, Number: c.cfg.Knock.Listen.Port()}}
	if f := c.cfg.Knock.FwknopListen; f.IsValid() {
		ports = append(ports, firewall.Port{Transport: ownline.UDP, Number: f.Port()})
	}
	for _, addr := range []string{c.cfg.Link.Listen, c.cfg.Proxy.Listen} { // the latter's without a proxy, too: one may come
		if _, port, err := net.SplitHostPort(addr); err == nil {
			if n, err := strconv.ParseUint(port, 10, 16); err == nil {
				ports = append(ports, firewall.Port{Transport: ownline.TCP, Number: uint16(n)})
				if c.cfg.Proxy.HTTP3 && addr == c.cfg.Proxy.Listen {
					ports = append(ports, firewall.Port{Transport: ownline.UDP, Number: uint16(n)})
				}
			}
		}
	}
	return ports
}

const defaultIPv6Prefix = 64

func (c *Core) ipv6Prefix() int {
	if n := c.state.get().IPv6Prefix; n != 0 {
		return n
	}
	return defaultIPv6Prefix
}

func (c *Core) admit(s link.Session) (link.Session, error) {
	return c.host.admit(s, c.ipv6Prefix(), c.names.at(nil))
}

// mayReach judges who may reach a proxied service: whoever is inside, and the sources of its
// sessions.
func (c *Core) mayReach(service ownline.ServiceID, source netip.Addr) (context.Context, bool) {
	if c.host.enters(source) {
		return context.Background(), true
	}
	return c.book.Admitted(service, source)
}

// Run starts every part of the daemon. The first to fail stops the others; Run returns when
// all have. The kernel's rules stay: sessions outlive the daemon and end on time.
func (c *Core) Run(ctx context.Context) error {
	defer c.driver.Close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.driver.Run(ctx) })
	g.Go(func() error { return c.reconciler.Run(ctx) })
	g.Go(func() error { return c.door.Run(ctx) })
	g.Go(func() error { return c.host.Run(ctx) })
	g.Go(func() error { return c.hub.Run(ctx) })
	g.Go(func() error { return c.names.Run(ctx) })
	g.Go(func() error { return c.ports.Run(ctx) })
	g.Go(func() error { return c.serveControl(ctx) })
	if c.listener != nil {
		g.Go(func() error { return c.link.Serve(ctx, c.listener) })
	}
	if c.cfg.Link.Dial != "" {
		g.Go(func() error { return c.link.Dial(ctx, c.cfg.Link.Dial) })
	}
	if c.cfg.PairFile != "" {
		g.Go(func() error { return c.pairing.keepFile(ctx, c.cfg.PairFile, c.host.lanAddresses()) })
	}
	c.log.Info("ownline-core runs", "version", c.version, "knock_port", c.door.Port(), "link", c.cfg.Link.Listen,
		"dial", c.cfg.Link.Dial, "paired", c.state.get().Web != "")
	return g.Wait()
}

// Status tells how core is.
func (c *Core) Status(ctx context.Context) link.Status {
	saved := c.state.get()
	sessions, doorstep, applied := c.book.Len()
	s := link.Status{
		Version: c.version, Run: c.run, Started: c.started.UTC(), Up: time.Since(c.started), Site: saved.Site, SiteName: saved.SiteName,
		Paired: saved.Web != "", Connected: c.hub.connected(),
		Applied: applied, Sessions: sessions, DoorstepSessions: doorstep, Devices: c.door.Devices(),
		KnockPort: c.door.Port(), FwknopPort: c.door.FwknopPort(), LocalNetworks: slices.Clone(c.host.localNetworks()),
		Knocks: c.door.Counts(), Firewall: link.Firewall{Driver: c.driverName, OK: true},
		Proxy: c.names.status(), Ports: c.ports.status(),
	}
	for _, p := range c.host.reserved() {
		if !slices.Contains(s.ReservedPorts, p.Number) {
			s.ReservedPorts = append(s.ReservedPorts, p.Number)
		}
	}
	if err := c.reconciler.Err(); err != nil {
		s.Firewall.OK, s.Firewall.Error = false, err.Error()
	}
	s.Firewall.Filter = c.driver.Filters()
	if lacks := c.driver.Lacks(); lacks != nil {
		s.Firewall.Lacks = lacks.Error()
	}
	if k, err := c.driver.KnockCounters(ctx); err == nil {
		s.Knocks.Dropped[link.RefusedKernelGarbage], s.Knocks.Dropped[link.RefusedKernelLimit] = k.Garbage, k.Limited
	}
	now, from := c.clock.Now()
	s.Clock = link.Clock{Source: from, Now: now.UTC()}
	switch from {
	case trustclock.Unknown:
		s.Clock.Now = time.Time{}
		s.Clock.Why = "the kernel's clock is not synchronised and web has not told the time yet, so no knock can be taken"
	case trustclock.Web:
		s.Clock.Why = "the kernel's clock is not synchronised; knocks are judged by web's time"
	}
	return s
}
