//go:build http3

package e2e

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

// Invariants 1, 3 and 4 over HTTP/3: a service is there for the source of its session and for
// the LAN, and ends with the session, by core or, when that is dead, by the kernel.
func TestHTTP3(t *testing.T) {
	core := filepath.Join(t.TempDir(), "ownline-core")
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", "http3", "-o", core, "github.com/ownline/ownline/cmd/ownline-core")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p := programs
	p.Core = core
	s := start(t, world.Options{Programs: p, CoreYAML: world.ProxyWith("http3: true")})
	b := s.Bed
	id, err := s.AddProxied(t.Context(), "cloud", bed.HTTPPort)
	if err != nil {
		t.Fatal(err)
	}
	client, neighbour, lan := s.over3(b.Client1), s.over3(b.Client2), s.over3(b.Lan)
	if _, err := get(client, "cloud", "/"); err == nil {
		t.Error("served without a session")
	}
	session := s.open(id, b.Client1.IPv4, time.Minute, 0)
	seen, err := get(client, "cloud", "/a")
	if err != nil || seen.Headers.Get("X-Forwarded-For") != b.Client1.IPv4.String() {
		t.Fatalf("%+v, %v", seen, err)
	}
	if _, err := get(neighbour, "cloud", "/"); err == nil {
		t.Error("a neighbour got the service")
	}
	if _, err := get(lan, "cloud", "/"); err != nil {
		t.Errorf("the LAN, without a session: %v", err)
	}
	resp, err := client.Get(world.URL("cloud", "/stream?bytes=100000000&rate=1000000"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.CopyN(io.Discard, resp.Body, 1000); err != nil {
		t.Fatal(err)
	}
	s.close(session.ID)
	// The kernel lets nothing more through, the news that it is over neither: the client hears
	// silence, as over any UDP.
	closed := time.Now()
	if n, err := io.Copy(io.Discard, resp.Body); err == nil || n > 10e6 || time.Since(closed) > silence+soon {
		t.Errorf("the download ended with %v after %v and %d bytes", err, time.Since(closed), n)
	}
	if _, err := get(client, "cloud", "/"); err == nil {
		t.Error("served after the session")
	}
}

// silence is how long a client over HTTP/3 takes silence for no end.
const silence = 3 * time.Second

// over3 is a browser that speaks nothing but HTTP/3, at a host of the bed.
func (s *suite) over3(from *bed.Host) *http.Client {
	s.t.Helper()
	tcp := s.browser(from).Transport.(*http.Transport)
	socket, err := from.ListenUDP(netip.AddrPortFrom(from.IPv4, 0))
	if err != nil {
		s.t.Fatal(err)
	}
	t := &quic.Transport{Conn: socket}
	rt := &http3.Transport{
		TLSClientConfig: tcp.TLSClientConfig,
		Dial: func(ctx context.Context, _ string, tc *tls.Config, qc *quic.Config) (*quic.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, silence)
			defer cancel()
			qc.MaxIdleTimeout = silence
			return t.Dial(ctx, net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.Bed.Router.IPv4, world.ProxyPort)), tc, qc)
		},
	}
	s.t.Cleanup(func() { rt.Close(); t.Close(); socket.Close() })
	return &http.Client{Transport: rt, Timeout: 30 * time.Second}
}
