package bed

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

// Page is the body, as JSON, of every page of Host.HTTP but /stream and /sink.
type Page struct {
	Server  netip.AddrPort `json:"server"` // the address that the request reached
	Client  netip.AddrPort `json:"client"` // as the server sees it
	Method  string         `json:"method"`
	Path    string         `json:"path"`
	Host    string         `json:"host"` // the Host header
	Headers http.Header    `json:"headers"`
}

// HTTP starts a web server on a port of the addresses given, or on all of the host. Every
// path answers at once with a Page, except /stream?bytes=N&rate=R, which sends N bytes at R
// bytes per second (0 or none: as fast as it goes), flushed every 10 ms, and /sink, which answers
// with the number of bytes that were sent there.
func (h *Host) HTTP(port uint16, at ...netip.Addr) (*Server, error) {
	listeners, err := h.listenAll(port, at)
	if err != nil {
		return nil, fmt.Errorf("start HTTP server: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", servePage)
	mux.HandleFunc("/stream", serveStream)
	mux.HandleFunc("/sink", func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body) // less than the client has sent, if it breaks off
		fmt.Fprint(w, n)
	})
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	s := &Server{end: web.Close}
	ended := make(chan error, len(listeners))
	for _, l := range listeners {
		s.Addrs = append(s.Addrs, addrPort(l.Addr()))
		s.wg.Go(func() { ended <- web.Serve(l) })
	}
	s.end = func() error {
		// Close knows only the listeners that Serve has got to; the rest are ours.
		errs := []error{web.Close()}
		for _, l := range listeners {
			if err := l.Close(); !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	}
	return s, h.bed.own(s.Close)
}

func servePage(w http.ResponseWriter, r *http.Request) {
	page := Page{Method: r.Method, Path: r.URL.Path, Host: r.Host, Headers: r.Header}
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		page.Server = addrPort(a)
	}
	page.Client, _ = netip.ParseAddrPort(r.RemoteAddr) // from net/http: always valid
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(page) // the client has gone; nothing to tell it
}

func serveStream(w http.ResponseWriter, r *http.Request) {
	size, err := queryInt(r, "bytes")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	rate, err := queryInt(r, "rate")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	out := http.NewResponseController(w)
	const step = 10 * time.Millisecond
	tick := time.NewTicker(step)
	defer tick.Stop()
	start, sent := time.Now(), int64(0)
	chunk := make([]byte, 64<<10)
	for sent < size {
		due := size - sent
		if rate > 0 {
			due = min(due, int64(float64(rate)*time.Since(start).Seconds())-sent)
		}
		for due > 0 {
			n, err := w.Write(chunk[:min(due, int64(len(chunk)))])
			if err != nil {
				return
			}
			sent += int64(n)
			due -= int64(n)
		}
		if err := out.Flush(); err != nil || sent == size {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// queryInt returns a number of the query; one that is missing is 0.
func queryInt(r *http.Request, name string) (int64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s: %q is not a number of 0 or more", name, text)
	}
	return n, nil
}

// HTTPClient returns a client whose connections come from this host. It keeps none open, so
// that every request is a connection of its own. URLs need literal addresses. timeout
// bounds a request from start to end of body; 0 means none.
func (h *Host) HTTPClient(timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout:   timeout,
		Transport: &http.Transport{DialContext: h.DialContext, DisableKeepAlives: true},
	}
}

// Get asks a server started with HTTP for its page.
func (h *Host) Get(to netip.AddrPort, timeout time.Duration) (Page, error) {
	var page Page
	res, err := h.HTTPClient(timeout).Get("http://" + to.String() + "/")
	if err != nil {
		return page, err
	}
	err = json.NewDecoder(res.Body).Decode(&page)
	return page, errors.Join(err, res.Body.Close())
}
