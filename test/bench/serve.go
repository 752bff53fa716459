package main

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/core/proxy/cert"
	"github.com/ownline/ownline/internal/core/proxy/embedded"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// serve is the embedded proxy alone, in a process of its own, for everybody.
func serve(ctx context.Context, at, certificate, key string) error {
	addr, err := netip.ParseAddrPort(at)
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	files, err := cert.Files(certificate, key, log)
	if err != nil {
		return err
	}
	name, domain, _ := strings.Cut(proxyName, ".")
	live, end := context.WithCancel(ctx)
	defer end()
	s, err := embedded.New(embedded.Config{
		Settings: proxy.Settings{Domain: domain, Port: addr.Port()}, Listen: []netip.AddrPort{addr}, Certificates: files,
		Admit:  func(ownline.ServiceID, netip.Addr) (context.Context, bool) { return live, true },
		Logger: log,
	})
	if err != nil {
		return err
	}
	service := link.Service{ID: ownline.NewID[ownline.Service](), Name: name, Target4: netip.AddrPortFrom(addr.Addr(), servicePort)}
	if err := s.Apply(ctx, []link.Service{service}); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.Run(ctx) })
	g.Go(func() error { return files.Run(ctx) })
	return g.Wait()
}
