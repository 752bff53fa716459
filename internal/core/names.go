//go:build !noproxy

package core

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/core/doorstep"
	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/loopback"
	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/core/proxy/acme"
	"github.com/ownline/ownline/internal/core/proxy/cert"
	"github.com/ownline/ownline/internal/core/proxy/embedded"
	"github.com/ownline/ownline/internal/core/proxy/gate"
	"github.com/ownline/ownline/internal/core/proxy/login"
	"github.com/ownline/ownline/internal/core/reconcile"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// names serves proxied services under their names. A nil one serves nothing.
type names struct {
	settings proxy.Settings
	address  firewall.Proxy // without local networks
	name     string         // of the driver
	driver   driver
	gate     *gate.Gate // nil: the driver is in core
	check    func(link.Service) error
	failed   func() error           // what the driver could not do since
	refused  atomic.Pointer[string] // what is not served, and why
	certs    certificates
	root     func() string // "": the certificates are of no authority of ours
	signing  signing
	acme     *acme.Source
	services *reconcile.Services
	logins   *login.Book
	log      *slog.Logger
	public   *public
	doorstep *doorstep.Doorstep
	guests   atomic.Bool // the doorstep is served
}

// certificates is where the proxy's certificates come from.
type certificates interface {
	proxy.Certificates
	Run(context.Context) error
	Err() error         // why the newest are not used
	Expires() time.Time // of the one that expires first
}

// checkNames tells what this build can't do of what is set.
func checkNames(cfg config.Core) error {
	if p := cfg.Proxy; p.Serves() && p.HTTP3 && !embedded.HTTP3 {
		return ownline.Invalid("proxy.http3", "this ownline-core was built without HTTP/3; leave it out, or use a build with `-tags http3` (make http3)")
	}
	return nil
}

// newNames takes the proxy's address and port and reads its certificates.
func newNames(cfg config.Core, admit proxy.Admission, log *slog.Logger) (*names, error) {
	p := cfg.Proxy
	if !p.Serves() {
		return nil, nil
	}
	n := &names{settings: proxy.Settings{Domain: p.Domain, Port: p.Port()}, root: func() string { return "" }, log: log, name: p.Driver, check: func(link.Service) error { return nil }, failed: func() error { return nil }}
	n.address.Port, n.address.UDP = p.Port(), p.HTTP3
	n.logins = login.New(log)
	listen, err := n.takeAddresses(p.Port())
	if err != nil {
		return nil, err
	}
	n.public = newPublic()
	expects := func(source netip.Addr) bool {
		_, ok := admit(ownline.DoorstepID, source)
		return ok
	}
	if n.doorstep, err = doorstep.New(expects, log); err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	defer func() {
		if err != nil {
			n.doorstep.Close()
		}
	}()
	if err = n.certificates(p.Certificate, filepath.Join(cfg.StateDir, "proxy")); err != nil {
		return nil, fmt.Errorf("proxy.certificate: %w", err)
	}
	if err = n.connect(cfg, listen, n.withDoorstep(admit)); err != nil {
		return nil, err
	}
	n.services = reconcile.NewServices(n.driver, log)
	return n, nil
}

// takeAddresses adds core's own to the loopback interface, at which clients arrive.
func (n *names) takeAddresses(port uint16) (listen []netip.AddrPort, err error) {
	for _, addr := range []netip.Addr{loopback.Addr4, loopback.Addr6} {
		if err := loopback.Add(addr); err != nil {
			n.log.Warn("the proxy serves the other address family alone", logging.Err, err)
			continue
		}
		listen = append(listen, netip.AddrPortFrom(addr, port))
		if addr.Is4() {
			n.address.Addr4 = addr
		} else {
			n.address.Addr6 = addr
		}
	}
	if len(listen) == 0 {
		return nil, ownline.Invalid("proxy", "the router's loopback interface takes no address for it")
	}
	return listen, nil
}

// connect makes the driver, and the gate when it is another server's.
func (n *names) connect(cfg config.Core, listen []netip.AddrPort, admit proxy.Admission) (err error) {
	p := cfg.Proxy
	if connect := map[string]connect{ownline.NginxProxy: n.nginx, ownline.CaddyProxy: n.caddy}[p.Driver]; connect != nil {
		if err := n.openGate(p, cfg.StateDir, listen, admit); err != nil {
			return err
		}
		if err := connect(cfg, listen); err != nil {
			return errors.Join(err, n.gate.Close())
		}
		return nil
	}
	c := embedded.Config{Settings: n.settings, Listen: listen, Certificates: n.certs, Admit: admit, Logins: n.logins, HTTP3: p.HTTP3, Logger: n.log}
	if p.AccessLog {
		c.AccessLog = n.log
	}
	if n.driver, err = embedded.New(c); err != nil {
		return fmt.Errorf("proxy.listen: %w", err)
	}
	return nil
}

func (n *names) certificates(c config.Certificate, dir string) (err error) {
	switch {
	case c.Internal:
		var authority *cert.Authority
		if authority, err = cert.Internal(dir, n.settings.Domain, n.log); err == nil {
			n.certs, n.root, n.signing.sign = authority, authority.Root, func(_ context.Context, csr *x509.CertificateRequest) ([]byte, error) { return authority.Sign(csr) }
		}
	case c.File != "":
		n.certs, err = cert.Files(c.File, c.KeyFile, n.log)
	default:
		port := uint16(80)
		if c.ACME.Challenge == acme.TLSALPN01 {
			port = 443
		}
		var addrs []netip.AddrPort
		for _, addr := range []netip.Addr{n.address.Addr4, n.address.Addr6} {
			if addr.IsValid() {
				addrs = append(addrs, netip.AddrPortFrom(addr, port))
			}
		}
		n.acme, err = acme.New(acme.Config{
			Domain: n.settings.Domain, Email: c.ACME.Email, Directory: c.ACME.Directory, Challenge: c.ACME.Challenge,
			RootsFile: c.ACME.CAFile, Hook: c.ACME.Hook, Dir: filepath.Join(dir, "acme"),
			Addrs: addrs, Hole: n.public.at(addrs...), Logger: n.log,
		})
		n.certs, n.signing.sign = n.acme, n.acme.Sign
	}
	return err
}

// onPublic has apply called whenever the public addresses change.
func (n *names) onPublic(apply func(context.Context) error) {
	if n != nil {
		n.public.apply = apply
	}
}

// at returns where the kernel leads those who may come.
func (n *names) at(inside []netip.Prefix) firewall.Proxy {
	if n == nil {
		return firewall.Proxy{}
	}
	at := n.address
	at.LocalNetworks = inside
	at.Public = n.public.list()
	return at
}

// set replaces what is served. What must not be served is left out.
func (n *names) set(want []link.Service, inside []netip.Prefix) {
	if n == nil {
		return
	}
	good, err := proxy.Good(want, inside)
	if err != nil {
		n.log.Error("services are not served", logging.Err, err)
	}
	var errs []error
	good = slices.DeleteFunc(good, func(s link.Service) bool {
		err := n.serves(s)
		if err != nil {
			errs = append(errs, fmt.Errorf("service %q is not served: %w", s.Name, err))
		}
		return err != nil
	})
	n.refused.Store(nil)
	if err := errors.Join(errs...); err != nil {
		text := err.Error()
		n.refused.Store(&text)
		n.log.Error("services are not served", logging.Err, err)
	}
	if n.guests.Load() {
		good = append(good, n.doorstepService())
	}
	n.services.Set(good)
	if n.acme != nil {
		var served []string
		for _, s := range good {
			served = append(served, s.Name)
		}
		n.acme.Manage(served)
	}
}

// pass replaces who is logged in. until turns an end by web's clock into one by ours.
func (n *names) pass(s link.State, until func(time.Time) time.Time) {
	if n != nil {
		n.logins.Replace(s.Revision, s.Pages, s.Passes, until)
	}
}

// put adds somebody who is logged in.
func (n *names) put(p link.PutPass, until time.Time) error {
	if n == nil {
		return errNoProxy
	}
	return n.logins.Put(p, until)
}

func (n *names) status() link.Proxy {
	if n == nil {
		return link.Proxy{Driver: ownline.NoProxy, OK: true}
	}
	s := link.Proxy{
		Driver: n.name, Domain: n.settings.Domain, Port: n.settings.Port, OK: true, Root: n.root(), Services: n.services.Len(),
		Expires: n.certs.Expires().UTC(), Doorstep: n.doorstep.Until().UTC(),
	}
	errs := []error{n.failed(), n.services.Err(), n.certs.Err()}
	if text := n.refused.Load(); text != nil {
		errs = append(errs, errors.New(*text))
	}
	err := errors.Join(errs...)
	s.OK = err == nil
	if n.gate != nil {
		err = errors.Join(err, n.gate.Err()) // with which it serves all the same
	}
	if err != nil {
		s.Error = err.Error()
	}
	return s
}

// Run serves until ctx ends.
func (n *names) Run(ctx context.Context) error {
	if n == nil {
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return n.driver.Run(ctx) })
	if n.gate != nil {
		g.Go(func() error { return n.gate.Run(ctx) })
	}
	g.Go(func() error { return n.certs.Run(ctx) })
	g.Go(func() error { return n.services.Run(ctx) })
	g.Go(func() error { return n.doorstep.Run(ctx) })
	return g.Wait()
}

// Close is for what never ran.
func (n *names) Close() error {
	if n == nil {
		return nil
	}
	err := errors.Join(n.driver.Close(), n.doorstep.Close())
	if n.gate != nil {
		err = errors.Join(n.gate.Close(), err)
	}
	return err
}
