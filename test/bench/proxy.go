package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
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

const (
	proxyClients = 64
	proxyRun     = 5 * time.Second
)

// offers are the groups of the key exchange (RFC 8446, section 4.2.7) that a client names, and what that is called
// in the results. A browser of today offers X25519MLKEM768, which holds against quantum computers, with X25519 beside it,
// and gets what the proxy speaks: the figure's name ends in that. X25519 and P-256 alone all of the proxies
// speak; only of P-256 crypto/tls and OpenSSL both have code of their own for the processor.
var offers = []struct {
	name   string
	groups []tls.CurveID
}{
	{"browser", []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP384}},
	{"x25519", []tls.CurveID{tls.X25519}},
	{"p256", []tls.CurveID{tls.CurveP256}},
}

// proxy compares the embedded reverse proxy with nginx and Caddy: over kept connections with
// small and large bodies, and in new connections. The load and the service have the same two
// cores as the proxies, so that ratios are nearer to 1 than they would be alone.
func (b *bench) proxy(ctx context.Context) error { return b.inRing(ctx, b.proxies) }

// inRing has something measured while the rivals run.
func (b *bench) inRing(ctx context.Context, measure func(context.Context, *ring) error) error {
	for _, tool := range []string{"nginx", "caddy", "wrk"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w; make bench installs it", err)
		}
	}
	ctx, stop := context.WithCancel(ctx)
	r, err := b.newRing(ctx)
	defer func() {
		stop()
		r.close()
	}()
	if err != nil {
		return err
	}
	return measure(ctx, r)
}

func (b *bench) proxies(ctx context.Context, r *ring) error {
	type figures struct{ perSecond, p50, p99, cpu []float64 }
	all := map[string]*figures{}
	hands, perCPU := map[string][]float64{}, map[string][]float64{} // by name and offer
	agreed := map[string]tls.CurveID{}
	for range b.runs(3) {
		for _, p := range r.rivals {
			for _, path := range []string{"/1k", "/1m"} {
				f := all[p.name+path]
				if f == nil {
					f = &figures{}
					all[p.name+path] = f
				}
				l, err := p.wrk(ctx, r.dir, path)
				if err != nil {
					return fmt.Errorf("%s: %w", p.name, err)
				}
				f.perSecond, f.p50, f.p99, f.cpu = append(f.perSecond, l.perSecond), append(f.p50, l.p50), append(f.p99, l.p99), append(f.cpu, l.cpuMicros)
			}
			for _, o := range offers {
				rate, cpu, group, err := p.handshakes(ctx, o.groups)
				if err != nil {
					return fmt.Errorf("%s: %w", p.name, err)
				}
				own := p.name + o.name
				hands[own], perCPU[own], agreed[own] = append(hands[own], rate), append(perCPU[own], cpu), group
			}
		}
	}
	for _, p := range r.rivals {
		peer := r.rivals[0].name
		switch p.name {
		case "nginx_driver", "nginx_twin":
			peer = "nginx_ungated"
		case "caddy_driver":
			peer = "caddy_ungated"
		}
		for _, path := range []string{"/1k", "/1m"} {
			name := "proxy_" + p.name + "_" + path[1:]
			f, of := all[p.name+path], all[peer+path]
			b.compare(name+"_per_s", median(f.perSecond), "requests/s", peer, median(f.perSecond)/median(of.perSecond))
			b.compare(name+"_cpu_us", median(f.cpu), "us/request", peer, median(f.cpu)/median(of.cpu))
			b.compare(name+"_p50_ms", median(f.p50), "ms", peer, median(f.p50)/median(of.p50))
			b.compare(name+"_p99_ms", median(f.p99), "ms", peer, median(f.p99)/median(of.p99))
		}
		for _, o := range offers {
			own, of := p.name+o.name, peer+o.name
			name, against := "proxy_"+p.name+"_handshakes_"+o.name, peer
			if len(o.groups) > 1 {
				name += "_" + strings.ToLower(agreed[own].String())
				against += "'s " + agreed[of].String()
			}
			b.compare(name+"_per_s", median(hands[own]), "1/s", against, median(hands[own])/median(hands[of]))
			b.compare(name+"_per_cpu_s", median(perCPU[own]), "1/s", against, median(perCPU[own])/median(perCPU[of]))
		}
		rss, err := p.memory()
		if err != nil {
			return err
		}
		b.add("proxy_"+p.name+"_rss_mb", rss, "MB")
	}
	return nil
}

var (
	wrkRate    = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	wrkLatency = regexp.MustCompile(`(?m)^\s+(50|99)%\s+([0-9.]+)(us|ms|s)\s*$`)
	wrkErrors  = regexp.MustCompile(`Non-2xx or 3xx responses: .*|Socket errors: .*`)
)

// loaded is what came of a load: times in milliseconds, and what a request took of the proxy's processors in microseconds.
type loaded struct{ perSecond, p50, p99, cpuMicros float64 }

// wrk loads a URL over kept connections. Its own hosts file is how the name leads here.
func (p rival) wrk(ctx context.Context, dir, path string) (l loaded, err error) {
	before, err := p.cpu()
	if err != nil {
		return l, err
	}
	const wrapper = `mount --bind "$0" /etc/hosts && exec "$@"`
	cmd := exec.CommandContext(ctx, "sh", "-c", wrapper, filepath.Join(dir, "hosts"),
		"wrk", "-t2", "--timeout", "20s", "-c", strconv.Itoa(proxyClients), "-d", proxyRun.String(), "--latency", p.url(path))
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err = p.host.Do(cmd.Start)
	if err == nil {
		err = cmd.Wait()
	}
	out := said.Bytes()
	if err != nil {
		return l, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	if bad := wrkErrors.Find(out); bad != nil {
		return l, fmt.Errorf("wrk: %s", bad)
	}
	rate := wrkRate.FindSubmatch(out)
	if rate == nil {
		return l, fmt.Errorf("wrk printed no rate:\n%s", out)
	}
	if l.perSecond, err = strconv.ParseFloat(string(rate[1]), 64); err != nil {
		return l, err
	}
	for _, m := range wrkLatency.FindAllSubmatch(out, -1) {
		v, err := strconv.ParseFloat(string(m[2]), 64)
		if err != nil {
			return l, err
		}
		v *= map[string]float64{"us": 1e-3, "ms": 1, "s": 1e3}[string(m[3])]
		if string(m[1]) == "50" {
			l.p50 = v
		} else {
			l.p99 = v
		}
	}
	after, err := p.cpu()
	l.cpuMicros = (after - before) / (l.perSecond * proxyRun.Seconds()) * 1e6
	return l, err
}

// handshakes makes new connections with one of the groups, without tickets, and tells how many came about in a second,
// and in a second that the proxy itself was on a processor, and which group it was.
func (p rival) handshakes(ctx context.Context, groups []tls.CurveID) (perSecond, perCPU float64, group tls.CurveID, err error) {
	before, err := p.cpu()
	if err != nil {
		return 0, 0, 0, err
	}
	cfg := &tls.Config{ServerName: proxyName, InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, CurvePreferences: groups}
	var n, agreed atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	began := time.Now()
	for range 8 {
		wg.Go(func() {
			for time.Since(began) < proxyRun {
				tcp, err := p.host.DialContext(ctx, "tcp", p.at.String())
				if err != nil {
					failed.Store(&err)
					return
				}
				c := tls.Client(tcp, cfg)
				err = c.HandshakeContext(ctx)
				c.Close()
				if err != nil {
					failed.Store(&err)
					return
				}
				agreed.Store(int64(c.ConnectionState().CurveID))
				n.Add(1)
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return 0, 0, 0, *err
	}
	took := time.Since(began)
	after, err := p.cpu()
	return float64(n.Load()) / took.Seconds(), float64(n.Load()) / (after - before), tls.CurveID(agreed.Load()), err
}

// processes are those of it and its children.
func (p rival) processes() []string {
	out := []string{strconv.Itoa(p.pid)}
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", p.pid))
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

// memory is the most that it has had, in MB (proc_pid_status(5)).
func (p rival) memory() (mb float64, err error) { return p.status("VmHWM:") }

// rss is what it has now, in MB.
func (p rival) rss() (mb float64, err error) { return p.status("VmRSS:") }

func (p rival) status(line string) (mb float64, err error) {
	for _, pid := range p.processes() {
		b, err := os.ReadFile("/proc/" + pid + "/status")
		if err != nil {
			return 0, err
		}
		for l := range strings.Lines(string(b)) {
			if f := strings.Fields(l); len(f) > 1 && f[0] == line {
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
