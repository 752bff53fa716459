package world

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/ownline/ownline/test/bed"
)

// Of a world whose core serves names.
const (
	Domain           = "home.test"
	ProxyPort uint16 = 9999
	// ProxyYAML belongs into Options.CoreYAML.
	ProxyYAML = "proxy: {domain: " + Domain + ", certificate: {internal: true}}\n"
)

// ProxyWith is ProxyYAML with more keys of proxy, written as in {…}.
func ProxyWith(more string) string { return strings.TrimSuffix(ProxyYAML, "}\n") + ", " + more + "}\n" }

// URL is where a proxied service is.
func URL(service, path string) string {
	return "https://" + service + "." + Domain + ":" + strconv.Itoa(int(ProxyPort)) + path
}

// Browser opens proxied services from a host of the bed: it trusts core's own authority, and
// all names lead to the router. Every request is a connection of its own.
func (w *World) Browser(ctx context.Context, from *bed.Host) (*http.Client, error) {
	resp, err := w.API.raw(ctx, "GET", "/sites/"+w.Site+"/root")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	pem, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("the site's root is no certificate")
	}
	router := w.Bed.Router.IPv4
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		return from.DialContext(ctx, network, net.JoinHostPort(router.String(), port))
	}
	return &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, DisableKeepAlives: true,
		},
	}, nil
}

// AddProxied makes a service of kind proxy that leads to a port of the LAN's host, and grants
// it to the admin.
func (w *World) AddProxied(ctx context.Context, name string, port uint16) (id string, err error) {
	id, err = w.API.Create(ctx, "/services", Map{
		"site": w.Site, "name": name, "kind": "proxy", "target": netip.AddrPortFrom(w.Bed.Lan.IPv4, port).String(),
	})
	if err != nil {
		return "", err
	}
	var me struct{ ID string }
	if err := w.API.Call(ctx, "GET", "/me", nil, &me); err != nil {
		return "", err
	}
	_, err = w.API.Create(ctx, "/grants", Map{"user": me.ID, "service": id, "automatic": true})
	return id, err
}

// raw sends a request without a body, whose answer is no JSON.
func (a *API) raw(ctx context.Context, method, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	resp, err := a.client.Do(req)
	if err == nil && resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	return resp, err
}
