//go:build !noproxy

package core

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/core/doorstep"
	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/core/proxy/embedded"
	"github.com/ownline/ownline/internal/core/reconcile"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

type fakeCertificates struct {
	expires time.Time
	err     error
}

func (fakeCertificates) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }
func (fakeCertificates) Run(context.Context) error                                  { return nil }
func (f fakeCertificates) Err() error                                               { return f.err }
func (f fakeCertificates) Expires() time.Time                                       { return f.expires }

type idle struct{}

func (idle) Apply(context.Context, []link.Service) error { return nil }

// The status tells until when the certificates are good, and of everything that is wrong.
func TestNamesStatus(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	door, err := doorstep.New(func(netip.Addr) bool { return false }, log)
	if err != nil {
		t.Fatal(err)
	}
	defer door.Close()
	end := time.Date(2030, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	n := &names{
		settings: proxy.Settings{Domain: "home.example", Port: 9999}, name: ownline.EmbeddedProxy, log: log, doorstep: door,
		certs: fakeCertificates{expires: end}, services: reconcile.NewServices(idle{}, log),
		root: func() string { return "PEM" }, failed: func() error { return nil },
	}
	s := n.status()
	if !s.OK || s.Error != "" || !s.Expires.Equal(end) || s.Expires.Location() != time.UTC || s.Domain != "home.example" || s.Port != 9999 || s.Driver != "embedded" || s.Root != "PEM" {
		t.Errorf("the status is %+v", s)
	}
	n.certs = fakeCertificates{err: errors.New("no certificate yet")}
	n.failed = func() error { return errors.New("nginx is gone") }
	refused := "wiki is not served"
	n.refused.Store(&refused)
	s = n.status()
	if s.OK || !s.Expires.IsZero() {
		t.Errorf("the status is %+v", s)
	}
	for _, want := range []string{"no certificate yet", "nginx is gone", refused} {
		if !strings.Contains(s.Error, want) {
			t.Errorf("the status tells %q, and not %q", s.Error, want)
		}
	}
}

// What a build can't do is told before anything is done.
func TestCheck(t *testing.T) {
	cfg := config.Core{Proxy: config.Proxy{Driver: ownline.EmbeddedProxy, Domain: "home.example", Listen: ":9999"}}
	if err := Check(cfg); err != nil {
		t.Error(err)
	}
	cfg.Proxy.HTTP3 = true
	if err := Check(cfg); (err == nil) != embedded.HTTP3 || err != nil && !strings.Contains(err.Error(), "proxy.http3") {
		t.Errorf("%v, in a build with HTTP/3: %v", err, embedded.HTTP3)
	}
}
