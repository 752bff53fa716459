package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/agent"
	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/knock"
)

// place is where a service is connected to.
type place struct {
	host string
	port uint16 // 0: not known
	url  string // of a proxied service
}

func (p place) address() string {
	if p.port == 0 {
		return ""
	}
	return net.JoinHostPort(p.host, strconv.Itoa(int(p.port)))
}

// fill puts a place into the words of a command.
func (p place) fill(words []string) []string {
	out := make([]string, len(words))
	for i, word := range words {
		out[i] = strings.NewReplacer("{host}", p.host, "{port}", strconv.Itoa(int(p.port)), "{url}", p.url).Replace(word)
	}
	return out
}

func mentions(words []string, what string) bool {
	return strings.Contains(strings.Join(words, " "), what)
}

// checkWords refuses a command that can't be filled.
func checkWords(words []string, service string) error {
	for _, what := range []string{"{port}", "{url}"} {
		if service == "" && mentions(words, what) {
			return command.Usagef("%s is filled in from a service: name the SERVICE before --, as in `ownline knock nas-ssh --wait -- ssh -p {port} {host}`", what)
		}
	}
	return nil
}

// placeOf is where a service is, as far as it is known before anything is asked.
func placeOf(k known, r agent.Request, f knockFlags, run []string) (place, error) {
	switch {
	case k.URL == "" && mentions(run, "{url}"):
		return place{}, command.Usagef("{url} is known of proxied services alone")
	case k.Transport == "udp" && f.stdio:
		return place{}, command.Usagef("--stdio needs a TCP service; %s is UDP", k.Name)
	case k.URL == "":
		return place{host: r.Profile.Host, port: k.PublicPort}, nil
	}
	u, err := url.Parse(k.URL)
	if err != nil || u.Hostname() == "" {
		return place{}, fmt.Errorf("the address of %s is damaged; run `ownline services` while signed in", k.Name)
	}
	port, err := strconv.ParseUint(cmp.Or(u.Port(), "443"), 10, 16)
	return place{host: u.Hostname(), port: uint16(port), url: k.URL}, err
}

// reach completes where a service is that was just opened, and with --wait or --stdio waits
// until it can be connected to. With --stdio it returns the connection.
func (a *app) reach(ctx context.Context, r agent.Request, f knockFlags, k known, at place, run []string, replies []agent.Reply) (place, net.Conn, error) {
	wait := (f.wait || f.stdio) && k.Transport != "udp"
	var to []netip.AddrPort
	if at.url == "" {
		to = insideAt(k, replies)
	}
	inside := len(to) > 0
	if inside {
		at.host, at.port = to[0].Addr().String(), to[0].Port()
	}
	ports := map[string]uint16{"4": at.port, "6": at.port}
	var err error
	if at.port == 0 && (f.wait || f.stdio || mentions(run, "{port}")) {
		if ports, err = a.publicPorts(ctx, r, k.Name); err != nil {
			return at, nil, err
		}
		at.port = cmp.Or(ports["4"], ports["6"])
	}
	if !wait {
		return at, nil, nil
	}
	if !inside {
		if to, err = outsideAt(ctx, at.host, ports, replies); err != nil {
			return at, nil, err
		}
	}
	conn, addr, err := connect(ctx, to)
	if err != nil {
		return at, nil, fmt.Errorf("%s let this machine in, but %s can't be connected to: %w", r.Profile.Host, k.Name, err)
	}
	if at.url == "" {
		at.port = addr.Port()
	}
	if inside {
		at.host = addr.Addr().String()
	}
	if f.stdio {
		return at, conn, nil
	}
	return at, nil, conn.Close()
}

// insideAt are the service's own addresses, where the device is told that it is inside:
// no port is opened there.
func insideAt(k known, replies []agent.Reply) (out []netip.AddrPort) {
	for _, r := range replies {
		if !r.OK() || r.Answer.Status != knock.Inside {
			continue
		}
		for _, target := range []string{k.Target, k.Target6} {
			if a, err := netip.ParseAddrPort(target); err == nil {
				out = append(out, a)
			}
		}
		return out
	}
	return nil
}

// outsideAt are the addresses that the answers came from, with the public port.
func outsideAt(ctx context.Context, host string, ports map[string]uint16, replies []agent.Reply) (out []netip.AddrPort, err error) {
	for _, r := range replies {
		if !r.OK() || ports[r.Family] == 0 {
			continue
		}
		addr := r.Server.Addr()
		if !addr.IsValid() { // through a broker
			list, err := net.DefaultResolver.LookupNetIP(ctx, "ip"+r.Family, host)
			if err != nil {
				return nil, fmt.Errorf("find %s: %w", host, err)
			}
			addr = list[0].Unmap()
		}
		out = append(out, netip.AddrPortFrom(addr, ports[r.Family]))
	}
	if len(out) == 0 {
		return nil, errors.New("nothing is open that can be connected to")
	}
	return out, nil
}

const (
	dialTime   = 3 * time.Second        // one try: a packet may be lost
	dialsApart = 250 * time.Millisecond // the service may be starting
)

// connect tries all addresses again and again until one takes a connection or ctx ends.
func connect(ctx context.Context, to []netip.AddrPort) (net.Conn, netip.AddrPort, error) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	type done struct {
		conn net.Conn
		err  error
	}
	results := make([]done, len(to))
	var wg sync.WaitGroup
	for i, addr := range to {
		wg.Go(func() {
			d := net.Dialer{Timeout: dialTime}
			for inner.Err() == nil {
				conn, err := d.DialContext(inner, "tcp", addr.String())
				if err == nil {
					results[i].conn = conn
					cancel()
					return
				}
				if inner.Err() == nil {
					results[i].err = err // rather than that time is up
				}
				select {
				case <-inner.Done():
				case <-time.After(dialsApart):
				}
			}
		})
	}
	wg.Wait()
	var won net.Conn
	var at netip.AddrPort
	var errs []error
	for i, r := range results {
		switch {
		case r.conn != nil && won == nil:
			won, at = r.conn, to[i]
		case r.conn != nil:
			r.conn.Close()
		case r.err != nil:
			errs = append(errs, r.err)
		}
	}
	if won != nil {
		return won, at, nil
	}
	return nil, at, cmp.Or(errors.Join(errs...), ctx.Err())
}

// pipe connects input and output to a connection until its other end closes it.
func pipe(ctx context.Context, conn net.Conn, in io.Reader, out io.Writer) error {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	// A read of standard input can't be interrupted: this one ends with the program.
	go func() {
		_, err := io.Copy(conn, in)
		half, ok := conn.(interface{ CloseWrite() error })
		if err != nil || !ok || half.CloseWrite() != nil {
			conn.Close()
		}
	}()
	_, err := io.Copy(out, conn)
	return cmp.Or(ctx.Err(), err)
}

// publicPorts asks the server for the ports of the sessions that are live now, by family.
func (a *app) publicPorts(ctx context.Context, r agent.Request, service string) (map[string]uint16, error) {
	c, err := a.client()
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, knockTimeout)
		defer cancel()
		var list []apiclient.Session
		list, err = c.Sessions(ctx, apiclient.SessionQuery{State: "live", Service: r.Service.String()})
		ports := map[string]uint16{}
		for _, s := range list {
			if s.Device != r.Profile.Device.String() {
				continue
			}
			family := "4"
			if strings.Contains(s.Source, ":") {
				family = "6"
			}
			ports[family] = cmp.Or(ports[family], s.PublicPort) // the newest comes first
		}
		if len(ports) > 0 {
			return ports, nil
		}
		if err == nil {
			err = errors.New("the server knows of no session of this device")
		}
	}
	return nil, fmt.Errorf("the public port of %s is not fixed, and the server can't tell it: %w. Ask an admin to fix a port in the grant, then run `ownline services`", service, err)
}
