package nginx

import (
	"bufio"
	"cmp"
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
	"strings"
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

// serves waits until nginx serves by the new file. One without a service can't be asked for, and need not
// be: the gate admits to none. A template may keep a host from being asked, so any does.
func (d *Driver) serves(ctx context.Context, want wanted) error {
	if len(want.hosts) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(d.Wait, waitAtMost))
	defer cancel()
	for {
		var errs []error
		for _, host := range want.hosts {
			got, err := d.servedDigest(ctx, host)
			if got == want.digest {
				return nil
			}
			errs = append(errs, err)
			if err == nil { // it is served by the one from before
				break
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nginx was told to reload, and does not serve the new configuration; its error log says why: %w", errors.Join(append(errs, ctx.Err())...))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// servedDigest asks nginx over the loopback interface, where nobody can be in between.
func (d *Driver) servedDigest(ctx context.Context, host string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	at := d.Listen[0]
	dialer := tls.Dialer{
		NetDialer: &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(at.Addr(), 0))},
		Config:    &tls.Config{ServerName: host, InsecureSkipVerify: true},
	}
	c, err := dialer.DialContext(ctx, "tcp", at.String())
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
