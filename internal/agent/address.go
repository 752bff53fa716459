package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// addressTimeout is how long one service is waited for that tells addresses.
const addressTimeout = 3 * time.Second

// ErrNoFamily says that an address family leads to nothing that tells an address.
var ErrNoFamily = errors.New("this machine, or what tells its address, has none of that family")

// PublicAddress asks services, one after the other, for this machine's public address of a
// family ("4" or "6"). A service is an https:// address that answers with it as text, or as JSON
// with a member "ip" or "address", or stun:HOST:PORT (RFC 8489). Anybody of them could lie:
// a session would open for somebody else.
func PublicAddress(ctx context.Context, services []string, family string) (netip.Addr, error) {
	return publicAddress(ctx, services, family, nil)
}

// publicAddress trusts authorities of its own; nil: the system's.
func publicAddress(ctx context.Context, services []string, family string, authorities *x509.CertPool) (netip.Addr, error) {
	if len(services) == 0 {
		return netip.Addr{}, errors.New("no service is known that tells this machine's public address")
	}
	var failed []error
	without := 0
	for _, s := range services {
		a, err := askAddress(ctx, s, family, authorities)
		if err == nil {
			return a, nil
		}
		if noFamily(err) {
			without++
		}
		failed = append(failed, fmt.Errorf("%s: %w", s, err))
	}
	if without == len(services) { // as on every machine that has IPv4 alone
		return netip.Addr{}, fmt.Errorf("find the public IPv%s address: %w", family, ErrNoFamily)
	}
	return netip.Addr{}, fmt.Errorf("find the public IPv%s address: %w", family, errors.Join(failed...))
}

// noFamily reports whether there is no way to a service by the family that it was asked by.
func noFamily(err error) bool {
	var unfit *net.AddrError // no suitable address
	return errors.As(err, &unfit) || errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EADDRNOTAVAIL)
}

func askAddress(ctx context.Context, service, family string, authorities *x509.CertPool) (a netip.Addr, err error) {
	ctx, cancel := context.WithTimeout(ctx, addressTimeout)
	defer cancel()
	switch server, stun := strings.CutPrefix(service, "stun:"); {
	case stun:
		a, err = askSTUN(ctx, server, family)
	case strings.HasPrefix(service, "https://"):
		a, err = askWeb(ctx, service, family, authorities)
	default:
		err = errors.New("is neither https:// nor stun:HOST:PORT")
	}
	switch {
	case err != nil:
		return netip.Addr{}, err
	case a.Is4() != (family == "4"):
		return netip.Addr{}, fmt.Errorf("it tells %s, which is not of IPv%s", a, family)
	case ownline.KindOf(a) != ownline.SourcePublic:
		return netip.Addr{}, fmt.Errorf("it tells %s, which is no public address", a)
	}
	return a, nil
}

func askWeb(ctx context.Context, service, family string, authorities *x509.CertPool) (netip.Addr, error) {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp"+family, addr)
		},
		TLSClientConfig:   &tls.Config{RootCAs: authorities},
		DisableKeepAlives: true,
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if r.URL.Scheme != "https" || len(via) > 3 {
			return errors.New("it leads to where the answer could be forged")
		}
		return nil
	}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, service, nil)
	if err != nil {
		return netip.Addr{}, err
	}
	resp, err := client.Do(r)
	if err != nil {
		return netip.Addr{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return netip.Addr{}, errors.New(resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1024))
	if err != nil {
		return netip.Addr{}, err
	}
	return readAddress(body)
}

// readAddress reads what a service answers.
func readAddress(body []byte) (netip.Addr, error) {
	text := strings.TrimSpace(string(body))
	var named struct{ IP, Address string }
	if strings.HasPrefix(text, "{") && json.Unmarshal(body, &named) == nil {
		text = named.IP + named.Address
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, errors.New("what it answers is no address")
	}
	return a.Unmap(), nil
}

func askSTUN(ctx context.Context, server, family string) (netip.Addr, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "udp"+family, server)
	if err != nil {
		return netip.Addr{}, err
	}
	defer conn.Close()
	ask := stunRequest()
	var buf [1500]byte
	for wait := 500 * time.Millisecond; ctx.Err() == nil; wait *= 2 { // RFC 8489, section 6.2.1
		if _, err := conn.Write(ask); err != nil {
			return netip.Addr{}, err
		}
		until := time.Now().Add(wait)
		if end, ok := ctx.Deadline(); ok && end.Before(until) {
			until = end
		}
		if err := conn.SetReadDeadline(until); err != nil {
			return netip.Addr{}, err
		}
		for {
			n, err := conn.Read(buf[:])
			if err != nil {
				break
			}
			if a, ok := stunAddress(ask, buf[:n]); ok {
				return a, nil
			}
		}
	}
	return netip.Addr{}, errors.New("it does not answer")
}
