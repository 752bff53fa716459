package portmap

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/huin/goupnp/ssdp"
)

// search finds where a router describes itself, by SSDP. Who else answers is not heard: anybody
// in the LAN may.
func search(ctx context.Context, router, local netip.Addr) (*url.URL, error) {
	for _, device := range []string{"urn:schemas-upnp-org:device:InternetGatewayDevice:1", "urn:schemas-upnp-org:device:InternetGatewayDevice:2"} {
		ctx, cancel := context.WithTimeout(ctx, searchPatience)
		answers, err := ssdp.RawSearch(ctx, &searcher{router, local, []netip.AddrPort{ssdpGroup, netip.AddrPortFrom(router, ssdpGroup.Port())}}, device, 2)
		cancel()
		if err != nil {
			return nil, err
		}
		for _, a := range answers {
			if at, err := a.Location(); err == nil && of(at, router) {
				return at, nil
			}
		}
	}
	return nil, errSilent
}

// searchPatience gives the router a second to answer in, as the MX that goes with it says, and some more.
const searchPatience = 1500 * time.Millisecond

// of reports whether a URL is of the router itself: nothing else is ever asked.
func of(u *url.URL, router netip.Addr) bool {
	return u.Scheme == "http" && u.Hostname() == router.String() && u.User == nil
}

// ssdpGroup is where devices listen.
var ssdpGroup = netip.MustParseAddrPort("239.255.255.250:1900")

// searcher is an ssdp.HTTPUClientCtx that hears one router, and stops when that has answered.
type searcher struct {
	router, local netip.Addr
	to            []netip.AddrPort
}

// DoWithContext sends the request to all of to: to the group, and to the router itself, as its answer
// to that passes firewalls that know connections.
func (s *searcher) DoWithContext(req *http.Request, sends int) ([]*http.Response, error) {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.local, 0)))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(req.Context(), func() { conn.SetDeadline(time.Unix(1, 0)) })()
	searched := map[string][]string(req.Header)["ST"][0] // the library has it as the protocol writes it
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", req.Method, req.URL.RequestURI())
	if err := req.Header.Write(&b); err != nil {
		return nil, err
	}
	b.WriteString("\r\n")
	for range sends {
		var errs []error
		for _, to := range s.to {
			if _, err := conn.WriteToUDPAddrPort(b.Bytes(), to); err != nil {
				errs = append(errs, err)
			}
		}
		if len(errs) == len(s.to) {
			return nil, oneLine(errs)
		}
	}
	buf := make([]byte, 2048)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return nil, errSilent // its time is over
		}
		if from.Addr().Unmap() != s.router {
			continue
		}
		r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(buf[:n])), req)
		if err == nil && r.StatusCode == http.StatusOK && r.Header.Get("ST") == searched {
			return []*http.Response{r}, nil
		}
	}
}

const (
	webPatience = 3 * time.Second
	webMax      = 64 << 10 // bytes of a description or an answer; 10 KB are usual
)

// webClient speaks to one router and to nobody else, follows nothing, and reads no more than
// a router has to say.
func webClient(router netip.Addr) http.Client {
	dialer := &net.Dialer{Timeout: webPatience}
	return http.Client{
		Timeout:       webPatience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: bounded{&http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				if to, err := netip.ParseAddrPort(address); err != nil || to.Addr() != router {
					return nil, fmt.Errorf("%s is not the router", address)
				}
				return dialer.DialContext(ctx, network, address)
			},
			DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: webMax,
		}},
	}
}

// bounded ends what is too long.
type bounded struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(response.Body, webMax), response.Body}
	return response, nil
}
