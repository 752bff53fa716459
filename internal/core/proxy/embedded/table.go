package embedded

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"sync/atomic"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// table is what is served, by host. It is never changed, only replaced.
type table struct {
	hosts map[string]*route
}

// route is one service, and the connections to it. A service that changes gets a new one.
type route struct {
	service link.Service
	host    string // NAME.Domain
	prefix  string // of every path
	asked   string // the host that the service is asked for; "": the one that the client named
	extra   http.Header

	backend *backend
	ailing  atomic.Bool // said in the log already

	ctx context.Context // ends when the route is gone
	end context.CancelFunc
}

// build makes a table, in which what has not changed keeps its route.
func (s *Server) build(services []link.Service, old *table) (*table, error) {
	next := &table{hosts: make(map[string]*route, len(services))}
	for _, v := range services {
		host := s.Settings.Host(v.Name)
		if next.hosts[host] != nil {
			return nil, ownline.Conflict("services", fmt.Sprintf("%q is there twice", v.Name))
		}
		if r := old.hosts[host]; r != nil && reflect.DeepEqual(r.service, v) {
			next.hosts[host] = r
			continue
		}
		b, err := newBackend(v)
		if err != nil {
			return nil, fmt.Errorf("service %.70q: %w", v.Name, err)
		}
		r := &route{service: v, host: host, prefix: v.Options.PathPrefix, asked: v.Options.ServerName, backend: b, extra: http.Header{}}
		for name, value := range v.Options.Headers {
			r.extra.Set(name, value)
		}
		r.ctx, r.end = context.WithCancel(context.Background())
		next.hosts[host] = r
	}
	return next, nil
}

// close ends the connections of clients, and with them those to the service.
func (r *route) close() {
	r.end()
	r.backend.close()
}
