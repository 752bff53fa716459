package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ownline/ownline/internal/core/loopback"
	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/core/proxy/caddy"
	"github.com/ownline/ownline/internal/core/proxy/cert"
	"github.com/ownline/ownline/internal/core/proxy/gate"
	"github.com/ownline/ownline/internal/core/proxy/nginx"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
)

// The reverse proxies that are compared, all on the router of a bed, at core's own address
// there, before one service, with one certificate.
const (
	proxyName   = "cloud.bench.test"
	proxyDomain = "bench.test"
	servicePort = 18080
	firstPort   = 18443
)

// rival is a reverse proxy that runs.
type rival struct {
	name string
	at   netip.AddrPort
	host *bed.Host
	pid  int
}

func (p rival) url(path string) string {
	return "https://" + net.JoinHostPort(proxyName, strconv.Itoa(int(p.at.Port()))) + path
}

// ring is where rivals fight.
type ring struct {
	bed       *bed.Bed
	dir       string
	cert, key string
	service   link.Service
	rivals    []rival
	wait      []func() // until what was started is over
}

func (b *bench) newRing(ctx context.Context) (r *ring, err error) {
	r = new(ring)
	if r.dir, err = os.MkdirTemp("", "ownline-proxies-"); err != nil {
		return r, err
	}
	if err := os.Chmod(r.dir, 0o755); err != nil { // nginx's workers are nobody
		return r, err
	}
	if r.bed, err = bed.New(ctx); err != nil {
		return r, err
	}
	router := r.bed.Router
	if err := router.AddAddr("lo", netip.PrefixFrom(loopback.Addr4, 32)); err != nil {
		return r, err
	}
	if r.cert, r.key, err = writeCertificate(r.dir); err != nil {
		return r, err
	}
	r.service = link.Service{ID: ownline.NewID[ownline.Service](), Name: strings.TrimSuffix(proxyName, "."+proxyDomain), Target4: netip.AddrPortFrom(router.IPv4s[1], servicePort)}
	for name, size := range map[string]int{"1k": 1 << 10, "1m": 1 << 20} {
		if err := os.WriteFile(filepath.Join(r.dir, name), bytes.Repeat([]byte("x"), size), 0o644); err != nil {
			return r, err
		}
	}
	if err := os.WriteFile(filepath.Join(r.dir, "hosts"), fmt.Appendf(nil, "%s %s\n", loopback.Addr4, proxyName), 0o644); err != nil {
		return r, err
	}
	_, err = r.nginx(ctx, "service", r.service.Target4, 1, nothing, fmt.Sprintf(
		"sendfile on; tcp_nopush on; keepalive_requests 1000000000; server { listen %s; root %s; open_file_cache max=10; }", r.service.Target4, r.dir))
	if err != nil {
		return r, err
	}
	for i, start := range []func(context.Context, netip.AddrPort) (rival, error){r.plainNginx, r.caddy, b.embedded(r), r.nginxDriver, r.ungatedNginx, r.twinNginx, r.caddyDriver, r.ungatedCaddy} {
		p, err := start(ctx, netip.AddrPortFrom(loopback.Addr4, uint16(firstPort+i)))
		if err != nil {
			return r, fmt.Errorf("%s: %w", p.name, err)
		}
		r.rivals = append(r.rivals, p)
	}
	return r, nil
}

// close waits for all that was started, whose context is over.
func (r *ring) close() {
	for _, wait := range r.wait {
		wait()
	}
	if r.bed != nil {
		r.bed.Close()
	}
	os.RemoveAll(r.dir)
}

// start starts a program, tells it what it does not know yet, and waits until it listens.
func (r *ring) start(ctx context.Context, name string, at netip.AddrPort, tell func() error, args ...string) (rival, error) {
	p := rival{name: name, at: at, host: r.bed.Router}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // nginx tells its workers
	cmd.Env = append(os.Environ(), "HOME="+r.dir)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := r.bed.Router.Do(cmd.Start); err != nil {
		return p, err
	}
	r.wait = append(r.wait, func() { _ = cmd.Wait() }) // it was killed
	p.pid = cmd.Process.Pid
	err := tell()
	if err == nil {
		err = p.listens(ctx)
	}
	if err != nil {
		return p, fmt.Errorf("%w\n%s", err, said.String())
	}
	return p, nil
}

func nothing() error { return nil }

func (p rival) listens(ctx context.Context) error {
	var err error
	for range 500 {
		var c net.Conn
		if c, err = p.host.Dial("tcp", p.at, time.Second); err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return err
}

// nginx starts one by what is in its http block, and tells it the rest.
func (r *ring) nginx(ctx context.Context, name string, at netip.AddrPort, workers int, tell func() error, http string) (rival, error) {
	file := filepath.Join(r.dir, name+".conf")
	err := os.WriteFile(file, fmt.Appendf(nil,
		"user root; daemon off; pid %s/%s.pid; error_log stderr crit; worker_processes %d;\nevents { worker_connections 4096; }\nhttp { access_log off; %s }\n",
		r.dir, name, workers, http), 0o644)
	if err != nil {
		return rival{}, err
	}
	return r.start(ctx, name, at, tell, "nginx", "-c", file)
}

// plainNginx has what somebody would write who has one service.
func (r *ring) plainNginx(ctx context.Context, at netip.AddrPort) (rival, error) {
	return r.nginx(ctx, "nginx", at, 2, nothing, fmt.Sprintf(`keepalive_requests 1000000000;
	upstream s { server %s; keepalive 128; keepalive_requests 1000000000; }
	server { listen %s ssl; server_name %s; ssl_certificate %s; ssl_certificate_key %s; ssl_protocols TLSv1.2 TLSv1.3;
		location / { proxy_pass http://s; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
			proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto https; proxy_buffering on; } }`,
		r.service.Target4, at, proxyName, r.cert, r.key))
}

func (r *ring) caddy(ctx context.Context, at netip.AddrPort) (rival, error) {
	file := filepath.Join(r.dir, "Caddyfile")
	err := os.WriteFile(file, fmt.Appendf(nil, "{\n\tadmin off\n\tauto_https off\n}\nhttps://%s:%d {\n\tbind %s\n\ttls %s %s\n\treverse_proxy %s\n}\n",
		proxyName, at.Port(), at.Addr(), r.cert, r.key, r.service.Target4), 0o644)
	if err != nil {
		return rival{}, err
	}
	return r.start(ctx, "caddy", at, nothing, "caddy", "run", "--config", file, "--adapter", "caddyfile")
}

// embedded is core as people run it. To it the load is somebody in the LAN.
func (b *bench) embedded(r *ring) func(context.Context, netip.AddrPort) (rival, error) {
	return func(ctx context.Context, at netip.AddrPort) (rival, error) {
		p := rival{name: "embedded", at: at, host: r.bed.Router}
		lan := netip.PrefixFrom(r.service.Target4.Addr(), 24).Masked()
		c, err := b.startCore(ctx, r.bed, driver{setting: ownline.NFTables}, fmt.Sprintf("local_networks: [%s/32, %s]\nproxy: {domain: %s, listen: %q, certificate: {file: %q, key_file: %q}}\n",
			loopback.Addr4, lan, proxyDomain, ":"+strconv.Itoa(int(at.Port())), r.cert, r.key))
		if err != nil {
			return p, err
		}
		r.wait = append(r.wait, func() {
			_ = c.core.Wait() // it was killed
			os.RemoveAll(c.dir)
		})
		p.pid = c.core.Process.Pid
		refused, err := c.web.PutState(ctx, link.State{Stamp: c.stamp(), Site: c.site, SiteName: "bench", IPv6Prefix: 64, Services: []link.Service{r.service}})
		if err == nil && len(refused) > 0 {
			err = refused[0].Problem.Err()
		}
		return p, errors.Join(err, p.listens(ctx))
	}
}

// newGate starts a gate in this process that lets everybody in, and reads the certificate.
func (r *ring) newGate(ctx context.Context, name, word string, at netip.AddrPort) (*gate.Gate, *cert.FileSource, error) {
	files, err := cert.Files(r.cert, r.key, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, err
	}
	live, end := context.WithCancel(ctx)
	var g *gate.Gate
	c := gate.Config{
		Socket: filepath.Join(r.dir, name+".gate"), Word: word, Badges: filepath.Join(r.dir, name+".badges"), GID: -1, Listen: []netip.AddrPort{at}, Logger: slog.New(slog.DiscardHandler),
		Admit: func(ownline.ServiceID, netip.Addr) (context.Context, bool) { return live, true },
	}
	err = r.bed.Router.Do(func() (err error) { // badges hold in the gate's own network alone
		g, err = gate.New(c)
		return err
	})
	if err != nil {
		end()
		return nil, nil, err
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = g.Run(ctx)
	}()
	r.wait = append(r.wait, func() { <-over; end() })
	return g, files, nil
}

// applied has a driver tell its server what is served, until that is ready to take it.
func (r *ring) applied(ctx context.Context, d proxy.Driver) func() error {
	return func() error {
		var err error
		for range 500 {
			err = r.bed.Router.Do(func() error { return d.Apply(ctx, []link.Service{r.service}) })
			if err == nil || ctx.Err() != nil {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		return err
	}
}

// nginxDriver has what the nginx driver writes.
func (r *ring) nginxDriver(ctx context.Context, at netip.AddrPort) (rival, error) {
	const name = "nginx_driver"
	p := rival{name: name}
	g, files, err := r.newGate(ctx, name, "", at)
	if err != nil {
		return p, err
	}
	d, err := nginx.New(nginx.Config{
		Settings: proxy.Settings{Domain: proxyDomain, Port: at.Port()}, Listen: []netip.AddrPort{at}, Certificates: files,
		Directory: filepath.Join(r.dir, "d"), Program: "nginx", File: filepath.Join(r.dir, name+".conf"), StateDir: filepath.Join(r.dir, "state"),
		Socket: g.Socket, Badges: g.Badges, Gate: g, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return p, err
	}
	return r.nginx(ctx, name, at, 2, r.applied(ctx, d), fmt.Sprintf("keepalive_requests 1000000000; include %s/d/*.conf;", r.dir))
}

// caddyDriver has what the Caddy driver sets.
func (r *ring) caddyDriver(ctx context.Context, at netip.AddrPort) (rival, error) {
	const name = "caddy_driver"
	p := rival{name: name, at: at, host: r.bed.Router}
	g, files, err := r.newGate(ctx, name, "the gate's word", at)
	if err != nil {
		return p, err
	}
	file, admin := filepath.Join(r.dir, name+".json"), filepath.Join(r.dir, name+".admin")
	if err := os.WriteFile(file, fmt.Appendf(nil, `{"admin": {"listen": "unix/%s"}}`, admin), 0o644); err != nil {
		return p, err
	}
	d, err := caddy.New(caddy.Config{
		Settings: proxy.Settings{Domain: proxyDomain, Port: at.Port()}, Listen: []netip.AddrPort{at}, Certificates: files,
		Admin: "unix:" + admin, Socket: g.Socket, Word: g.Word, Badges: g.Badges, Gate: g, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return p, err
	}
	return r.start(ctx, name, at, r.applied(ctx, d), "caddy", "run", "--config", file)
}

// ungatedCaddy has the same, and lets in without looking or asking.
func (r *ring) ungatedCaddy(ctx context.Context, at netip.AddrPort) (rival, error) {
	const name = "caddy_ungated"
	p := rival{name: name, at: at, host: r.bed.Router}
	c := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(r.dir, "caddy_driver.admin"))
	}}}
	defer c.CloseIdleConnections()
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://caddy/config/apps", nil)
	if err != nil {
		return p, err
	}
	ask.Host = "/" // none, as Caddy wants it on a socket
	resp, err := c.Do(ask)
	if err != nil {
		return p, err
	}
	defer resp.Body.Close()
	var apps any
	if err := json.NewDecoder(resp.Body).Decode(&apps); err != nil {
		return p, err
	}
	if !admitAll(apps) {
		return p, errors.New("the configuration of the driver looks for no badges")
	}
	text, err := json.Marshal(map[string]any{"admin": map[string]any{"disabled": true}, "apps": apps})
	if err != nil {
		return p, err
	}
	before := r.rivals[len(r.rivals)-1].at.String()
	file := filepath.Join(r.dir, name+".json")
	if err := os.WriteFile(file, bytes.ReplaceAll(text, []byte(before), []byte(at.String())), 0o600); err != nil {
		return p, err
	}
	return r.start(ctx, name, at, nothing, "caddy", "run", "--config", file)
}

// admitAll has every connection pass for one with a badge, and reports whether there was a route for those.
func admitAll(config any) (found bool) {
	switch v := config.(type) {
	case []any:
		for _, c := range v {
			found = admitAll(c) || found
		}
	case map[string]any:
		if v["group"] != nil && v["match"] != nil {
			delete(v, "match")
			return true
		}
		for _, c := range v {
			found = admitAll(c) || found
		}
	}
	return found
}

var asks = regexp.MustCompile(`(?m)^\s*(auth_request |if \(!?-e ).*$`)

// ungatedNginx has the same without asking.
func (r *ring) ungatedNginx(ctx context.Context, at netip.AddrPort) (rival, error) {
	return r.nginxWithoutGate(ctx, "nginx_ungated", at, 1)
}

// twinNginx is one more of the same: what the two differ in is what the machine makes of equals.
func (r *ring) twinNginx(ctx context.Context, at netip.AddrPort) (rival, error) {
	return r.nginxWithoutGate(ctx, "nginx_twin", at, 2)
}

// nginxWithoutGate has what the driver wrote for the rival that started so many before it, without asking.
func (r *ring) nginxWithoutGate(ctx context.Context, name string, at netip.AddrPort, ago int) (rival, error) {
	b, err := os.ReadFile(filepath.Join(r.dir, "d", "ownline.conf"))
	if err != nil {
		return rival{}, err
	}
	before := r.rivals[len(r.rivals)-ago].at.String()
	text := strings.ReplaceAll(asks.ReplaceAllString(string(b), ""), before, at.String())
	return r.nginx(ctx, name, at, 2, nothing, "keepalive_requests 1000000000; "+text)
}

func writeCertificate(dir string) (cert, key string, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: proxyName}, DNSNames: []string{proxyName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		return "", "", err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return "", "", err
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	return cert, key, errors.Join(
		os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
}
