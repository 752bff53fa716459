package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/firewalls"
)

const many = 10_000

// core measures ownline-core alone, commanded over its link by this program.
func (b *bench) core(ctx context.Context) error {
	w, err := bed.New(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	if _, err := w.StartServers(); err != nil {
		return err
	}
	c, err := b.startCore(ctx, w, driver{setting: ownline.NFTables}, "")
	if err != nil {
		return err
	}
	defer os.RemoveAll(c.dir)
	for _, measure := range []func(context.Context, *rig) error{b.idle, b.opens, b.sync, b.rates} {
		if err := measure(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// rig is a core on a bed, and its web: this program.
type rig struct {
	bed  *bed.Bed
	dir  string
	core *exec.Cmd
	web  *link.Client
	site ownline.SiteID
	rev  uint64
}

// startCore starts a core with that firewall driver and more settings on the router, and pairs it.
func (b *bench) startCore(ctx context.Context, w *bed.Bed, d driver, more string) (*rig, error) {
	dir, err := os.MkdirTemp("", "ownline-bench-")
	if err != nil {
		return nil, err
	}
	r := &rig{bed: w, dir: dir, site: ownline.NewID[ownline.Site]()}
	listen := netip.AddrPortFrom(w.Router.IPv4s[1], 57329).String()
	config := filepath.Join(dir, "core.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil,
		"state_dir: %q\ncontrol_socket: %q\nlink: {listen: %q}\nfirewall: {driver: %s, wan_interfaces: [wan0]}\nlog: {level: error}\n%s",
		filepath.Join(dir, "state"), filepath.Join(dir, "sock"), listen, d.setting, more), 0o600); err != nil {
		return nil, err
	}
	words := firewalls.Variant(d.variant, b.programs.Core, "run", "--config", config)
	r.core = w.Router.Command(ctx, words[0], words[1:]...)
	r.core.Env, r.core.Stderr = d.env, os.Stderr
	if err := w.Router.Start(r.core); err != nil {
		return nil, err
	}
	var code struct{ Code string }
	for range 200 {
		time.Sleep(10 * time.Millisecond)
		out, err := exec.CommandContext(ctx, b.programs.Core, "pair", "--json", "--config", config).Output()
		if err == nil {
			if err := json.Unmarshal(out, &code); err != nil {
				return nil, err
			}
			break
		}
	}
	parsed, err := link.ParseCode(code.Code)
	if err != nil {
		return nil, err
	}
	pem, err := link.GenerateIdentity()
	if err != nil {
		return nil, err
	}
	id, err := link.ParseIdentity(pem)
	if err != nil {
		return nil, err
	}
	r.web = id.NewClientVia(w.Lan.DialContext, parsed.Addr, parsed.Pin)
	if _, err := r.web.Pair(ctx, parsed.Token); err != nil {
		return nil, err
	}
	return r, r.put(ctx, nil)
}

func (r *rig) stamp() link.Stamp {
	r.rev++
	return link.Stamp{Revision: link.Revision{Epoch: "bench", Revision: r.rev}, Now: time.Now()}
}

// put makes the sessions the whole state.
func (r *rig) put(ctx context.Context, sessions []link.Session) error {
	refused, err := r.web.PutState(ctx, link.State{Stamp: r.stamp(), Site: r.site, SiteName: "bench", IPv6Prefix: 64, Sessions: sessions})
	if err == nil && len(refused) > 0 {
		err = refused[0].Problem.Err()
	}
	return err
}

// sessions makes n, of n sources.
func (r *rig) sessions(n int) []link.Session {
	out := make([]link.Session, n)
	for i := range out {
		out[i] = r.session(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}), uint16(20000+i%9000))
	}
	return out
}

func (r *rig) session(source netip.Addr, port uint16) link.Session {
	return link.Session{
		ID: ownline.NewID[ownline.Session](), Service: "echo", User: "bench", Kind: ownline.Forward,
		Source: netip.PrefixFrom(source, 32), Transport: ownline.TCP, PublicPort: port,
		Target: netip.AddrPortFrom(r.bed.Lan.IPv4, bed.EchoPort), Expires: time.Now().Add(time.Hour),
	}
}

// rss is the memory that core takes, in MB of 2^20 bytes.
func (r *rig) rss() (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.core.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmRSS:" {
			kb, err := strconv.ParseFloat(f[1], 64)
			return kb / 1024, err
		}
	}
	return 0, errors.New("no VmRSS in the status of core")
}

func (b *bench) idle(_ context.Context, r *rig) error {
	time.Sleep(2 * time.Second)
	mb, err := r.rss()
	if err != nil {
		return err
	}
	b.add("core_rss_idle_mb", mb, "MB")
	return nil
}

// opens measures sessions opened per second, one request each, 16 at a time.
func (b *bench) opens(ctx context.Context, r *rig) error {
	var rates []float64
	for range b.runs(6) {
		if err := r.put(ctx, nil); err != nil {
			return err
		}
		const n = 2000
		all := r.sessions(n)
		puts := make(chan link.Put, n)
		for _, s := range all {
			puts <- link.Put{Stamp: r.stamp(), Session: s}
		}
		close(puts)
		errs := make(chan error, 16)
		began := time.Now()
		for range 16 {
			go func() {
				for p := range puts {
					if err := r.web.PutSession(ctx, p); err != nil {
						errs <- err
						return
					}
				}
				errs <- nil
			}()
		}
		for range 16 {
			if err := <-errs; err != nil {
				return err
			}
		}
		rates = append(rates, n/time.Since(began).Seconds())
	}
	b.add("opens_per_s", median(rates), "1/s")
	return nil
}

// sync measures the whole way of 10,000 sessions: over the link, into an empty kernel.
func (b *bench) sync(ctx context.Context, r *rig) error {
	var times []float64
	for range b.runs(10) {
		if err := r.put(ctx, nil); err != nil {
			return err
		}
		all := r.sessions(many)
		began := time.Now()
		if err := r.put(ctx, all); err != nil {
			return err
		}
		times = append(times, time.Since(began).Seconds())
	}
	b.add("sync_10k_s", median(times), "s")
	time.Sleep(5 * time.Second)
	mb, err := r.rss()
	if err != nil {
		return err
	}
	b.add("core_rss_10k_mb", mb, "MB")
	return nil
}

// rates compares how many connections a second get through one session, with 1 live and
// with 10,000. The two take turns, so that what else the machine does hits both.
func (b *bench) rates(ctx context.Context, r *rig) error {
	own := r.session(r.bed.Client1.IPv4, 29999)
	crowd := append(r.sessions(many-1), own)
	var alone, crowded, ratios []float64
	for range b.runs(11) {
		if err := r.put(ctx, []link.Session{own}); err != nil {
			return err
		}
		one, err := r.rate(own.PublicPort)
		if err != nil {
			return err
		}
		if err := r.put(ctx, crowd); err != nil {
			return err
		}
		ten, err := r.rate(own.PublicPort)
		if err != nil {
			return err
		}
		alone, crowded, ratios = append(alone, one), append(crowded, ten), append(ratios, ten/one)
	}
	b.add("new_conn_rate_1_per_s", median(alone), "1/s")
	b.add("new_conn_rate_10k_per_s", median(crowded), "1/s")
	b.compare("new_conn_rate_10k_over_1", median(ratios), "ratio", "1 live session", median(ratios))
	return nil
}

// rate connects as fast as it goes, for a second.
func (r *rig) rate(port uint16) (float64, error) {
	const lasting = time.Second
	time.Sleep(300 * time.Millisecond) // what the change cost is over
	to := netip.AddrPortFrom(r.bed.Router.IPv4, port)
	var n, lost atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, 2)
	began := time.Now()
	for range 2 {
		wg.Go(func() {
			for time.Since(began) < lasting {
				c, err := r.bed.Client1.Dial("tcp", to, time.Second)
				if err != nil {
					// One that a busy machine lost costs its time; many would be a fault.
					if lost.Add(1) > 3 {
						errs <- fmt.Errorf("after %d connections: %w", n.Load(), err)
						return
					}
					continue
				}
				// A reset leaves no TIME_WAIT behind, so ports don't run out.
				_ = c.(*net.TCPConn).SetLinger(0)
				c.Close()
				n.Add(1)
			}
		})
	}
	wg.Wait()
	took := time.Since(began).Seconds()
	select {
	case err := <-errs:
		return 0, err
	default:
		return float64(n.Load()) / took, nil
	}
}
