package caddy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/ownline"
)

const (
	adminTimeout = 30 * time.Second // Caddy answers when it has taken a configuration
	maxConfig    = 64 << 20         // bytes of Caddy's whole configuration
)

// errChanged: somebody else has changed the configuration since it was read.
var errChanged = errors.New("the configuration of Caddy changes all the time")

// admin is Caddy's admin API.
type admin struct {
	client *http.Client
	base   string
	host   string // header
}

// newAdmin takes http://ADDRESS:PORT of this machine, or unix:/path. The certificates' keys go
// there, so they never cross a network.
func newAdmin(address string) (*admin, error) {
	t := &http.Transport{DisableKeepAlives: true} // Caddy's admin server is another one after each change
	a := &admin{client: &http.Client{
		Transport: t, Timeout: adminTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if !filepath.IsAbs(path) {
			return nil, badAdmin(address)
		}
		// Caddy wants an empty Host here, which net/http sends for one that is none.
		a.base, a.host = "http://caddy", "/"
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		}
		return a, nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" || u.Port() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, badAdmin(address)
	}
	if addr, err := netip.ParseAddr(u.Hostname()); u.Hostname() != "localhost" && (err != nil || !addr.IsLoopback()) {
		return nil, badAdmin(address)
	}
	a.base = "http://" + u.Host
	return a, nil
}

func badAdmin(address string) error {
	return ownline.Invalid("proxy.caddy.admin", fmt.Sprintf("%q must be http://ADDRESS:PORT with an address of the loopback interface, or unix:/path", address))
}

// read returns a part of the configuration, and the tag of its state.
func (a *admin) read(ctx context.Context, path string) (config []byte, tag string, err error) {
	resp, body, err := a.do(ctx, http.MethodGet, path, nil, "")
	if err != nil {
		return nil, "", err
	}
	if tag = resp.Trailer.Get("Etag"); tag == "" {
		tag = resp.Header.Get("Etag")
	}
	return body, tag, nil
}

// replace puts a whole configuration in place of the one that was read with the tag. Caddy
// keeps that when it refuses the new one.
func (a *admin) replace(ctx context.Context, config []byte, tag string) error {
	_, _, err := a.do(ctx, http.MethodPost, "/config/", config, tag)
	return err
}

func (a *admin) do(ctx context.Context, method, path string, body []byte, tag string) (*http.Response, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	if a.host != "" {
		r.Host = a.host
	}
	if method != http.MethodGet {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("If-Match", tag)
	}
	resp, err := a.client.Do(r)
	if err != nil {
		err = fmt.Errorf("proxy.caddy.admin: the admin API of Caddy: %w", err)
		if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT) {
			err = proxy.NotRunning{Server: "Caddy", Err: err}
		}
		return nil, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxConfig+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("the admin API of Caddy: %w", err)
	case len(answer) > maxConfig:
		return nil, nil, fmt.Errorf("the admin API of Caddy: more than %d bytes", maxConfig)
	case resp.StatusCode == http.StatusPreconditionFailed:
		return nil, nil, errChanged
	case resp.StatusCode != http.StatusOK:
		return nil, nil, fmt.Errorf("the admin API of Caddy: %s: %s", resp.Status, complaint(answer))
	}
	return resp, answer, nil
}

// complaint is what Caddy says is wrong, with nothing in it that is to stay secret.
func complaint(answer []byte) string {
	var said struct{ Error string }
	if json.Unmarshal(answer, &said) != nil || said.Error == "" {
		return "no reason told"
	}
	if strings.Contains(said.Error, "PRIVATE KEY") {
		return "about a certificate's key"
	}
	return fmt.Sprintf("%.600s", strings.Join(strings.Fields(said.Error), " "))
}
