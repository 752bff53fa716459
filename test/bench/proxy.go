package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// The reverse proxies that are compared, all before one service, with one certificate.
const (
	proxyName    = "cloud.bench.test"
	servicePort  = 18080
	firstPort    = 18443
	proxyClients = 64
	proxyRun     = 5 * time.Second
)

// rival is a reverse proxy that runs.
type rival struct {
	name string
	port int
	cmd  *exec.Cmd
}

func (p rival) url(path string) string {
	return "https://" + net.JoinHostPort(proxyName, strconv.Itoa(p.port)) + path
}

// proxy compares the embedded reverse proxy with nginx and Caddy: over kept connections with
// small and large bodies, and in new connections. The load and the service have the same two
// cores as the proxies, so that ratios are nearer to 1 than they would be alone.
func (b *bench) proxy(ctx context.Context) (err error) {
	for _, tool := range []string{"nginx", "caddy", "wrk"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w; make bench installs it", err)
		}
	}
	dir, err := os.MkdirTemp("", "ownline-proxies-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx, stop := context.WithCancel(ctx)
	started, err := startRivals(ctx, dir)
	defer func() {
		stop()
		for _, p := range started {
			_ = p.cmd.Wait() // they were killed
		}
	}()
	if err != nil {
		return err
	}
	rivals := started[1:] // without the service
	type figures struct{ perSecond, p50, p99 []float64 }
	all := map[string]*figures{}
	hands, perCPU := map[string][]float64{}, map[string][]float64{}
	for range b.runs(3) {
		for _, p := range rivals {
			for _, path := range []string{"/1k", "/1m"} {
				f := all[p.name+path]
				if f == nil {
					f = &figures{}
					all[p.name+path] = f
				}
				rate, p50, p99, err := wrk(ctx, dir, p.url(path))
				if err != nil {
					return fmt.Errorf("%s: %w", p.name, err)
				}
				f.perSecond, f.p50, f.p99 = append(f.perSecond, rate), append(f.p50, p50), append(f.p99, p99)
			}
			rate, cpu, err := p.handshakes(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			hands[p.name], perCPU[p.name] = append(hands[p.name], rate), append(perCPU[p.name], cpu)
		}
	}
	nginx := rivals[0].name
	for _, p := range rivals {
		for _, path := range []string{"/1k", "/1m"} {
			name := "proxy_" + p.name + "_" + path[1:]
			f, of := all[p.name+path], all[nginx+path]
			b.compare(name+"_per_s", median(f.perSecond), "requests/s", nginx, median(f.perSecond)/median(of.perSecond))
			b.compare(name+"_p50_ms", median(f.p50), "ms", nginx, median(f.p50)/median(of.p50))
			b.compare(name+"_p99_ms", median(f.p99), "ms", nginx, median(f.p99)/median(of.p99))
		}
		b.compare("proxy_"+p.name+"_handshakes_per_s", median(hands[p.name]), "1/s", nginx, median(hands[p.name])/median(hands[nginx]))
		b.compare("proxy_"+p.name+"_handshakes_per_cpu_s", median(perCPU[p.name]), "1/s", nginx, median(perCPU[p.name])/median(perCPU[nginx]))
		rss, err := p.memory()
		if err != nil {
			return err
		}
		b.add("proxy_"+p.name+"_rss_mb", rss, "MB")
	}
	return nil
}

// startRivals starts the service and the proxies, the service first.
func startRivals(ctx context.Context, dir string) (rivals []rival, err error) {
	cert, key, err := writeCertificate(dir)
	if err != nil {
		return nil, err
	}
	for name, size := range map[string]int{"1k": 1 << 10, "1m": 1 << 20} {
		if err := os.WriteFile(filepath.Join(dir, name), bytes.Repeat([]byte("x"), size), 0o644); err != nil {
			return nil, err
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil { // nginx's workers are nobody
		return nil, err
	}
	common := "daemon off; pid %s/%s.pid; error_log stderr crit; worker_processes %d;\nevents { worker_connections 4096; }\n"
	files := map[string]string{
		"service.conf": fmt.Sprintf(common, dir, "service", 1) + fmt.Sprintf(
			"http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; server { listen 127.0.0.1:%d; root %s; open_file_cache max=10; } }\n", servicePort, dir),
		"nginx.conf": fmt.Sprintf(common, dir, "nginx", 2) + fmt.Sprintf(`http { access_log off; keepalive_requests 1000000000;
	upstream s { server 127.0.0.1:%d; keepalive 128; keepalive_requests 1000000000; }
	server { listen 127.0.0.1:%d ssl; server_name %s; ssl_certificate %s; ssl_certificate_key %s; ssl_protocols TLSv1.2 TLSv1.3;
		location / { proxy_pass http://s; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
			proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto https; proxy_buffering on; } } }
`, servicePort, firstPort, proxyName, cert, key),
		"Caddyfile": fmt.Sprintf("{\n\tadmin off\n\tauto_https off\n}\nhttps://%s:%d {\n\tbind 127.0.0.1\n\ttls %s %s\n\treverse_proxy 127.0.0.1:%d\n}\n",
			proxyName, firstPort+1, cert, key, servicePort),
		"hosts": "127.0.0.1 localhost " + proxyName + "\n",
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return nil, err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	for _, p := range []struct {
		name string
		port int
		args []string
	}{
		{"service", servicePort, []string{"nginx", "-c", filepath.Join(dir, "service.conf")}},
		{"nginx", firstPort, []string{"nginx", "-c", filepath.Join(dir, "nginx.conf")}},
		{"caddy", firstPort + 1, []string{"caddy", "run", "--config", filepath.Join(dir, "Caddyfile"), "--adapter", "caddyfile"}},
		{"embedded", firstPort + 2, []string{self, "-serve", fmt.Sprintf("127.0.0.1:%d", firstPort+2), "-certificate", cert, "-key", key}},
	} {
		cmd := exec.CommandContext(ctx, p.args[0], p.args[1:]...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // nginx tells its workers
		cmd.Env = append(os.Environ(), "HOME="+dir)
		var said bytes.Buffer
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			return rivals, err
		}
		rivals = append(rivals, rival{p.name, p.port, cmd})
		if err := listens(ctx, p.port); err != nil {
			return rivals, fmt.Errorf("%s: %w\n%s", p.name, err, said.String())
		}
	}
	return rivals, nil
}

func listens(ctx context.Context, port int) error {
	at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port)).String()
	var err error
	for range 500 {
		var c net.Conn
		if c, err = net.Dial("tcp", at); err == nil {
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

var (
	wrkRate    = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	wrkLatency = regexp.MustCompile(`(?m)^\s+(50|99)%\s+([0-9.]+)(us|ms|s)\s*$`)
	wrkErrors  = regexp.MustCompile(`Non-2xx or 3xx responses: .*|Socket errors: .*`)
)

// wrk loads a URL over kept connections. Its own hosts file is how the name leads here.
func wrk(ctx context.Context, dir, url string) (perSecond, p50, p99 float64, err error) {
	const wrapper = `mount --bind "$0" /etc/hosts && exec "$@"`
	cmd := exec.CommandContext(ctx, "sh", "-c", wrapper, filepath.Join(dir, "hosts"),
		"wrk", "-t2", "-c", strconv.Itoa(proxyClients), "-d", proxyRun.String(), "--latency", url)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, 0, 0, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	if bad := wrkErrors.Find(out); bad != nil {
		return 0, 0, 0, fmt.Errorf("wrk: %s", bad)
	}
	rate := wrkRate.FindSubmatch(out)
	if rate == nil {
		return 0, 0, 0, fmt.Errorf("wrk printed no rate:\n%s", out)
	}
	if perSecond, err = strconv.ParseFloat(string(rate[1]), 64); err != nil {
		return 0, 0, 0, err
	}
	for _, m := range wrkLatency.FindAllSubmatch(out, -1) {
		v, err := strconv.ParseFloat(string(m[2]), 64)
		if err != nil {
			return 0, 0, 0, err
		}
		v *= map[string]float64{"us": 1e-3, "ms": 1, "s": 1e3}[string(m[3])]
		if string(m[1]) == "50" {
			p50 = v
		} else {
			p99 = v
		}
	}
	return perSecond, p50, p99, nil
}

// handshakes makes new connections, without tickets, and tells how many came about in a second,
// and in a second that the proxy itself was on a processor.
func (p rival) handshakes(ctx context.Context) (perSecond, perCPU float64, err error) {
	before, err := p.cpu()
	if err != nil {
		return 0, 0, err
	}
	cfg := &tls.Config{ServerName: proxyName, InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519}} // what all of them speak
	dialer := tls.Dialer{Config: cfg}
	at := net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port))
	var n atomic.Int64
	var failed atomic.Value
	var wg sync.WaitGroup
	began := time.Now()
	for range 8 {
		wg.Go(func() {
			for time.Since(began) < proxyRun {
				c, err := dialer.DialContext(ctx, "tcp", at)
				if err != nil {
					failed.Store(err)
					return
				}
				n.Add(1)
				c.Close()
			}
		})
	}
	wg.Wait()
	if err, ok := failed.Load().(error); ok {
		return 0, 0, err
	}
	took := time.Since(began)
	after, err := p.cpu()
	return float64(n.Load()) / took.Seconds(), float64(n.Load()) / (after - before), err
}

// processes are those of it and its children.
func (p rival) processes() []string {
	out := []string{strconv.Itoa(p.cmd.Process.Pid)}
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", p.cmd.Process.Pid))
	return append(out, strings.Fields(string(children))...)
}

// cpu is the time that it has been on a processor, in seconds (proc_pid_stat(5)).
func (p rival) cpu() (seconds float64, err error) {
	for _, pid := range p.processes() {
		b, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			return 0, err
		}
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		for _, f := range fields[11:13] {
			ticks, err := strconv.ParseFloat(f, 64)
			if err != nil {
				return 0, err
			}
			seconds += ticks / 100 // USER_HZ
		}
	}
	return seconds, nil
}

// memory is the most that it has had, in MB (proc_pid_status(5), VmHWM).
func (p rival) memory() (mb float64, err error) {
	for _, pid := range p.processes() {
		b, err := os.ReadFile("/proc/" + pid + "/status")
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "VmHWM:" {
				kib, err := strconv.ParseFloat(f[1], 64)
				if err != nil {
					return 0, err
				}
				mb += kib * 1024 / 1e6
			}
		}
	}
	return mb, nil
}
