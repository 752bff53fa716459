package app

import (
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/ownline/ownline/test/world"
)

// detour is a listener whose connections can be cut.
type detour struct {
	net.Listener
	mu    sync.Mutex // guards all below
	down  bool
	conns map[net.Conn]struct{}
}

// serveDetour publishes web a second time, past core, by a proxy in the internet: whoever comes
// that way is there while core is not.
func (h *house) serveDetour(cert, key string) {
	h.t.Helper()
	l, err := h.Bed.Internet.ListenTCP(netip.AddrPortFrom(addressAt.Addr(), world.ProxyPort))
	if err != nil {
		h.t.Fatal(err)
	}
	h.detour = &detour{Listener: l, conns: make(map[net.Conn]struct{})}
	to := &url.URL{Scheme: "http", Host: h.WebAddr().String()}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: &httputil.ReverseProxy{
		// From the router, which web trusts to say for whom it asks.
		Transport: &http.Transport{DialContext: h.Bed.Router.DialContext},
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.SetXForwarded()
			r.Out.Host = r.In.Host
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.ServeTLS(h.detour, cert, key) })
	h.t.Cleanup(func() {
		server.Close()
		serving.Wait()
	})
}

// cut ends all connections and takes no more, until it is called with false.
func (d *detour) cut(down bool) {
	d.mu.Lock()
	d.down = down
	conns := d.conns
	if down {
		d.conns = make(map[net.Conn]struct{})
	}
	d.mu.Unlock()
	if !down {
		return
	}
	for c := range conns {
		c.Close()
	}
}

// Accept returns the next connection; while the detour is cut each ends at once.
func (d *detour) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		d.mu.Lock()
		down := d.down
		if !down {
			d.conns[c] = struct{}{}
		}
		d.mu.Unlock()
		if !down {
			return tracked{c, d}, nil
		}
		c.Close()
	}
}

// tracked is a connection of a detour, which forgets it once it is closed.
type tracked struct {
	net.Conn
	of *detour
}

func (t tracked) Close() error {
	t.of.mu.Lock()
	delete(t.of.conns, t.Conn)
	t.of.mu.Unlock()
	return t.Conn.Close()
}
