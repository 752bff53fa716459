package access_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
)

// paper takes the news.
type paper struct {
	mu   sync.Mutex
	news []ownline.News
}

func (p *paper) Report(n ownline.News) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.news = append(p.news, n)
}

// take returns what was reported since, a line each.
func (p *paper) take(t *testing.T) []string {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, n := range p.news {
		if n.At.IsZero() {
			t.Errorf("%s without a time", n.Kind)
		}
		line := fmt.Sprintf("%s %s", n.Kind, n.User)
		for _, word := range []struct{ name, value string }{{"by", n.By}, {"service", n.Service}, {"site", n.Site}, {"device", n.Device}, {"detail", n.Detail}} {
			if word.value != "" {
				line += fmt.Sprintf(" %s=%s", word.name, word.value)
			}
		}
		if n.Source.IsValid() {
			line += " from=" + n.Source.String()
		}
		out = append(out, line)
	}
	p.news = nil
	return out
}

// Everything that people may want to be told is reported once, after it is committed, and
// renewals are not.
func TestNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		news := h.paper
		defer h.run()()
		ctx := t.Context()
		expect := func(step string, want ...string) {
			t.Helper()
			synctest.Wait()
			got := news.take(t)
			slices.Sort(got)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", step, diff)
			}
		}
		expect("the house")

		s := h.open(h.ana, access.OpenAsk{Service: h.ssh.ID})
		expect("open", "session.opened ana service=ssh site=home from=198.51.100.7/32")
		if again := h.open(h.ana, access.OpenAsk{Service: h.ssh.ID}); again.ID != s.ID {
			t.Fatal("another session")
		}
		if _, err := h.Renew(ctx, h.ana, s.ID, 0); err != nil {
			t.Fatal(err)
		}
		expect("renewals")
		if _, err := h.Close(ctx, h.root, s.ID); err != nil {
			t.Fatal(err)
		}
		expect("closed by another", "session.ended ana by=root service=ssh site=home detail=closed from=198.51.100.7/32")
		h.open(h.ana, access.OpenAsk{Service: h.ssh.ID, For: time.Minute})
		news.take(t)
		time.Sleep(2 * time.Minute)
		expect("expired", "session.ended ana service=ssh site=home detail=expired from=198.51.100.7/32")

		h.cores.down = true
		if _, err := h.Open(ctx, h.ana, access.OpenAsk{Service: h.ssh.ID}); err == nil {
			t.Fatal("opened without core")
		}
		expect("refused by core", "session.failed ana service=ssh site=home detail=unavailable from=198.51.100.7/32")
		h.cores.down = false
		if _, err := h.Open(ctx, h.bob, access.OpenAsk{Service: h.ssh.ID}); err == nil {
			t.Fatal("opened without a grant")
		}
		expect("refused by policy")

		d, _, err := h.AddDevice(ctx, h.root, access.NewDevice{User: h.ana.User.ID, Site: h.site.ID, Name: "phone"})
		if err != nil {
			t.Fatal(err)
		}
		expect("enrolled", "device.enrolled ana by=root site=home device=phone")
		knock := h.knocker(d.ID)
		knock(1)
		expect("knocked", "device.knocked ana site=home device=phone from=198.51.100.7/32", "session.opened ana service=ssh site=home device=phone from=198.51.100.7/32")
		knock(1)
		expect("renewed", "device.knocked ana site=home device=phone from=198.51.100.7/32")
		knock(2)
		expect("moved", "device.knocked ana site=home device=phone from=203.0.113.9/32", "session.opened ana service=ssh site=home device=phone from=203.0.113.9/32")
		time.Sleep(2 * time.Minute)
		expect("replaced")
		if _, _, err := h.RotateDevice(ctx, command, d.ID); err != nil {
			t.Fatal(err)
		}
		expect("rotated", "device.enrolled ana by=a command site=home device=phone detail=it got a new key")
		if _, err := h.RevokeDevice(ctx, h.ana, d.ID); err != nil {
			t.Fatal(err)
		}
		expect("revoked", "device.revoked ana site=home device=phone", "session.ended ana service=ssh site=home device=phone detail=revoked from=203.0.113.9/32")
		if err := h.RemoveDevice(ctx, h.ana, d.ID); err != nil {
			t.Fatal(err)
		}
		expect("removed after it was revoked")
	})
}
