// Package proxy: reverse proxy, services by name: what the drivers below share. Settings and
// link.Service say what is to be served, Admission who may reach it. The drivers are embedded,
// which serves inside core, nginx and caddy; those two ask gate at every request who may come in, and keeper
// keeps them at what they should serve.
// login stands in front of services that require one, page is what is said in place of a service,
// cert and acme are where certificates come from, and proxytest holds every driver to one contract.
package proxy

import (
	"context"
	"crypto/tls"
	"net/netip"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// Settings is the part that changes only with the configuration.
type Settings struct {
	Domain string // services are at NAME.Domain; lower case, no final dot
	Port   uint16 // in the URLs that people open
}

// Host returns the name under which a service is served.
func (s Settings) Host(service string) string { return service + "." + s.Domain }

// Admission reports whether a source may reach a service now. The context ends as soon as it
// may no longer; whatever serves it then is cut. It is asked once for a connection and must be
// quick.
type Admission func(service ownline.ServiceID, source netip.Addr) (live context.Context, ok bool)

// Certificates are where a driver that ends TLS itself gets certificates from.
type Certificates interface {
	// Certificate returns the newest for the name asked for (tls.Config.GetCertificate).
	Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error)
}

// Driver makes the proxy serve exactly the given services, over and over: after an error
// those from before are still served. Calls are made one at a time.
type Driver interface {
	Apply(ctx context.Context, services []link.Service) error
	// Run serves until ctx ends.
	Run(ctx context.Context) error
}
