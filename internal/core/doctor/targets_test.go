//go:build !noproxy

package doctor_test

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ownline/ownline/internal/core/doctor"
	"github.com/ownline/ownline/internal/core/session"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// Each target is tried once, and what does not answer is a warning that names the service.
func TestTargets(t *testing.T) {
	r, d := router(t)
	udp, proxied := forward("dns", "198.51.100.7/32", "192.168.7.4:53"), forward("wiki", "198.51.100.7/32", "127.0.0.9:9999")
	udp.Transport, proxied.Kind = ownline.UDP, ownline.Proxy
	d.sessions = []session.Session{
		forward("nas", "198.51.100.7/32", "192.168.7.9:80"), forward("nas", "198.51.100.8/32", "192.168.7.9:80"),
		forward("cam", "198.51.100.7/32", "192.168.7.8:80"), forward("ssh", "198.51.100.7/32", "192.168.7.7:22"), udp, proxied,
	}
	failures := map[string]string{
		"tcp 192.168.7.9:80": link.ReachSilent, "tcp 192.168.7.8:80": link.ReachRefused, "tcp 192.168.7.7:22": "", "udp 192.168.7.4:53": link.ReachNoRoute,
	}
	var mu sync.Mutex // guards tried
	tried := map[string]int{}
	r.Reach = func(_ context.Context, transport ownline.Transport, at netip.AddrPort) string {
		mu.Lock()
		defer mu.Unlock()
		it := fmt.Sprint(transport, " ", at)
		tried[it]++
		return failures[it]
	}
	said := func() (all string) {
		for _, f := range r.Look(t.Context()) {
			if f.Check == "targets" {
				all += string(f.Level) + " " + f.Text + "\n"
			}
		}
		return all
	}
	want := "warning \"nas\", 192.168.7.9:80, does not answer this router.\nwarning \"cam\", 192.168.7.8:80, refuses connections of this router: nothing listens there.\nwarning \"dns\", 192.168.7.4:53, does not answer this router.\n"
	if got := said(); got != want {
		t.Errorf("it says\n%s, want\n%s", got, want)
	}
	if want := map[string]int{"tcp 192.168.7.9:80": 1, "tcp 192.168.7.8:80": 1, "tcp 192.168.7.7:22": 1, "udp 192.168.7.4:53": 1}; !maps.Equal(tried, want) {
		t.Errorf("tried are %v, want %v", tried, want)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, f := range r.Look(gone) {
		if f.Check == "targets" {
			t.Errorf("when nobody waits any more, it says %s", f.Text)
		}
	}
	clear(failures)
	if got := said(); !strings.HasPrefix(got, "ok The hosts") {
		t.Errorf("it says %s", got)
	}
	d.sessions = d.sessions[5:]
	if got := said(); got != "" {
		t.Errorf("with nothing to try, it says %s", got)
	}
}

// However many services are open, only so many are tried at a time.
func TestTargetsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most, all atomic.Int32
		reach := doctor.Reach(func(context.Context, ownline.Transport, netip.AddrPort) string {
			all.Add(1)
			now.Add(1)
			time.Sleep(time.Second) // until all wait that may be tried now
			most.Store(max(most.Load(), now.Load()))
			time.Sleep(time.Second)
			now.Add(-1)
			return ""
		})
		const many = 200
		var sessions []session.Session
		for i := range many {
			sessions = append(sessions, forward("nas", "198.51.100.7/32", fmt.Sprintf("192.168.7.9:%d", 1000+i)))
		}
		if got := reach.Targets(t.Context(), sessions); len(got) != many || all.Load() != many || most.Load() != 64 {
			t.Errorf("%d results of %d, %d at once", len(got), all.Load(), most.Load())
		}
	})
}
