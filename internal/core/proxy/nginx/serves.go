package nginx

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// A reload is a signal: nginx's master may not get to it, or fail at it when its test has passed, and says
// so in its own log alone. So every service tells, to the router itself, which file nginx serves by.
const (
	servesPath = "/.ownline/serves"
	digestMark = "{ownline-digest}" // until the file is written
)

// serving are directives of a server.
const serving = `	location = ` + servesPath + ` {
		auth_request off;
		if ($remote_addr != $server_addr) { return 404; }
		default_type text/plain;
		return 200 ` + digestMark + `;
	}
`

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:12])
}

// hosts are the names below the domain that a file of ours serves.
func hosts(text, domain string) (out []string) {
	for _, m := range serverNames.FindAllStringSubmatch(text, -1) {
		for _, name := range strings.Fields(m[1]) {
			if strings.HasSuffix(name, "."+domain) {
				out = append(out, name)
			}
		}
	}
	return out
}

var serverNames = regexp.MustCompile(`(?m)^\s*server_name\s+([^;]+);`)

// steady is for how long nothing but the new file answers. nginx starts its new workers, and lets those
// from before take connections for 100 ms more.
const steady = 200 * time.Millisecond

// serves waits until nginx serves by the new file, and by no other.
func (d *Driver) serves(ctx context.Context, want wanted, atMost time.Duration) error {
	end := time.Now().Add(atMost)
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	var (
		since time.Time // that it does
		why   error     // it did not, last
	)
	for {
		err := d.servesNow(ctx, want)
		if err != nil && (why == nil || ctx.Err() == nil && time.Now().Before(end)) { // an end of our own patience says nothing; a dial may know of it first
			why = err
		}
		switch {
		case err != nil:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case time.Since(since) >= steady:
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nginx was told to reload, and does not serve the new configuration; its error log says why: %w", errors.Join(why, ctx.Err()))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// servesNow asks once. A template may keep a host from being asked, so any that tells does. Where none is left to
// ask, those from before have to be refused, as unknown names are.
func (d *Driver) servesNow(ctx context.Context, want wanted) error {
	var errs []error
	for _, host := range want.hosts {
		got, err := d.servedDigest(ctx, host)
		if got == want.digest {
			return nil
		}
		if err == nil {
			return errors.New(host + " is served by the one from before")
		}
		errs = append(errs, err)
	}
	if len(want.hosts) > 0 {
		return errors.Join(errs...)
	}
	for _, host := range want.gone {
		c, err := d.dial(ctx, host)
		if err == nil {
			c.Close()
			return errors.New(host + " is still served")
		}
		var refused *net.OpError // by an alert, or since nobody listens
		if !errors.As(err, &refused) || refused.Op != "remote error" && !errors.Is(err, syscall.ECONNREFUSED) {
			return err
		}
	}
	return nil
}

// dial makes a handshake as a client of the host, over the loopback interface, where nobody can be in between.
func (d *Driver) dial(ctx context.Context, host string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	at := d.Listen[0]
	dialer := tls.Dialer{
		NetDialer: &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(at.Addr(), 0))},
		Config:    &tls.Config{ServerName: host, InsecureSkipVerify: true},
	}
	return dialer.DialContext(ctx, "tcp", at.String())
}

// servedDigest asks nginx by which file it serves a host.
func (d *Driver) servedDigest(ctx context.Context, host string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, err := d.dial(ctx, host)
	if err != nil {
		return "", err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+servesPath, nil)
	if err != nil {
		return "", err
	}
	r.Close = true
	if err := r.Write(c); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1000))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return strings.TrimSpace(string(b)), err
}
