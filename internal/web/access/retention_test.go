package access_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/store"
)

// counted is a meter that adds up.
type counted struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counted) add(what string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n[what] += n
}

func (c *counted) Opened(by string)       { c.add("opened "+by, 1) }
func (c *counted) Ended(why string)       { c.add("ended "+why, 1) }
func (c *counted) Knocked(verdict string) { c.add("knocked "+verdict, 1) }

func (c *counted) Refused(_, reason string, n uint64) { c.add("refused "+reason, int(n)) }

func TestMeter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		meter := &counted{n: map[string]int{}}
		h.meter = meter
		h.Access = h.with(h.cores)
		defer h.run()()
		d, _, err := h.AddDevice(t.Context(), h.ana, access.NewDevice{Site: h.site.ID, Name: "phone"})
		if err != nil {
			t.Fatal(err)
		}
		knock := h.knocker(d.ID)
		knock(1)
		knock(1) // renews
		k := link.Knocked{Device: d.ID, Nonce: append(make([]byte, 11), 2), Made: time.Now(), Source: anaAt, Skew: time.Minute}
		if v, _, err := h.Knock(t.Context(), h.site.ID, k); err != nil || v.Ignored != "replay" {
			t.Errorf("a replay gets %+v, %v", v, err)
		}
		s := h.open(h.ana, access.OpenAsk{Service: h.ssh.ID})
		if _, err := h.Close(t.Context(), h.ana, s.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		for what, want := range map[string]int{
			"opened knock": 1, "opened login": 1, "ended closed": 1, "ended expired": 1, "knocked opened": 1, "knocked renewed": 1, "knocked ignored": 1, "refused replay": 1,
		} {
			if meter.n[what] != want {
				t.Errorf("%s: %d, want %d (all: %v)", what, meter.n[what], want, meter.n)
			}
		}
	})
}

// afterIDs sets the bubble's clock to after every identifier that was made so far: they
// tell their time, and never go backwards.
func afterIDs(t *testing.T) {
	t.Helper()
	s := strings.ReplaceAll(ownline.NewID[ownline.User]().String(), "-", "")
	ms, err := strconv.ParseInt(s[:12], 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Until(time.UnixMilli(ms + 1)))
}

// What is over is forgotten when its time has come, a little at a time.
func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		afterIDs(t)
		h := newHouse(t)
		h.retention = access.Retention{History: 5 * time.Hour, Audit: 10 * time.Hour}
		h.Access = h.with(h.cores)
		defer h.run()()
		const many = 450 // more than two turns delete
		for range many {
			s := h.open(h.ana, access.OpenAsk{Service: h.ssh.ID, For: 10 * time.Minute, IdempotencyKey: ownline.NewID[ownline.User]().String()})
			if _, err := h.Close(t.Context(), h.ana, s.ID); err != nil {
				t.Fatal(err)
			}
		}
		last := h.open(h.ana, access.OpenAsk{Service: h.ssh.ID, For: 2 * time.Hour})
		kept := func() int {
			t.Helper()
			n := 0
			p := ownline.Page{Limit: ownline.MaxLimit}
			for {
				ss, next, err := h.Sessions(t.Context(), command, access.SessionsAsk{SessionQuery: ownline.SessionQuery{Page: p}})
				if err != nil {
					t.Fatal(err)
				}
				n += len(ss)
				if next == "" {
					return n
				}
				p.Cursor = next
			}
		}
		lines := func(action string) (n int) {
			t.Helper()
			err := h.store.Read(context.Background(), func(tx *store.Tx) (err error) {
				n, err = tx.CountAudit(action)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		time.Sleep(4*time.Hour + 50*time.Minute)
		synctest.Wait()
		if n := kept(); n != many+1 {
			t.Errorf("before their time %d of %d sessions are left", n, many+1)
		}
		time.Sleep(80 * time.Minute)
		synctest.Wait()
		if n := kept(); n != 1 {
			t.Errorf("%d sessions are left, want the one that ended last", n)
		}
		if s, why := h.state(last.ID); s != ownline.Ended || why != ownline.Expired {
			t.Errorf("it is %s %s", s, why)
		}
		if n := lines("session.open"); n != many+1 {
			t.Errorf("%d lines of the audit log are left", n)
		}
		time.Sleep(5 * time.Hour)
		synctest.Wait()
		if n, cuts := lines("session.open"), lines("audit.shorten"); n != 0 || cuts != 1 {
			t.Errorf("%d lines of the audit log are left, and %d of cuts", n, cuts)
		}
	})
}
