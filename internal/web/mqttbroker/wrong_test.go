package mqttbroker

import (
	"bytes"
	"crypto/sha256"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Who keeps giving wrong passwords waits ever longer for the answer; who has the right one comes in at
// once beside them, from the same address. The log is told now and then.
func TestWrongLoginsAreSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		b, err := New(Options{Guest: "guest", GuestPassword: []byte("open"), Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		b.people["guest"] = &account{name: "guest", password: sha256.Sum256([]byte("open")), most: 10}
		from := func(addr string) *line {
			near, far := net.Pipe()
			t.Cleanup(func() { near.Close(); far.Close() })
			p := netip.MustParsePrefix(addr + "/32")
			return &line{tcp: newEnding(at{near, net.TCPAddrFromAddrPort(netip.AddrPortFrom(p.Addr(), 1))}), from: p}
		}
		took := func(l *line, password string, in bool) time.Duration {
			t.Helper()
			began := time.Now()
			if got := b.enter(l, "guest", []byte(password)); got != in {
				t.Errorf("%q: in %v, want %v", password, got, in)
			}
			return time.Since(began)
		}
		for i, want := range []time.Duration{0, 0, 0, 0, 0, 1, 2, 4, 8, 8} {
			if got := took(from("192.0.2.1"), "wrong", false); got != want*time.Second {
				t.Errorf("wrong login %d waits %s, want %ds", i+1, got, want)
			}
		}
		if got := took(from("192.0.2.1"), "open", true); got != 0 {
			t.Errorf("the right one waits %s", got)
		}
		if got := took(from("192.0.2.2"), "wrong", false); got != 0 {
			t.Errorf("somebody else waits %s", got)
		}
		if s := b.Status().Logins; s.Refused != 11 || s.From != "192.0.2.2" || b.Counts().Refused[login] != 11 {
			t.Errorf("%+v, %+v", s, b.Counts())
		}
		if n := strings.Count(log.String(), "wrong name or password"); n != 1 || !strings.Contains(log.String(), "192.0.2.1") {
			t.Errorf("told %d times: %s", n, log.String())
		}
		// Whom we hang up on waits no longer: a place is needed, or web stops.
		l := from("192.0.2.1")
		time.AfterFunc(time.Second, func() { l.Close() })
		if got := took(l, "wrong", false); got != time.Second {
			t.Errorf("waits %s for a connection that is over", got)
		}
		time.Sleep(2 * time.Hour)
		if got := took(from("192.0.2.1"), "wrong", false); got != 0 {
			t.Errorf("waits %s after hours", got)
		}
		if n := strings.Count(log.String(), "wrong name or password"); n != 2 || !strings.Contains(log.String(), "count=12") {
			t.Errorf("told %d times: %s", n, log.String())
		}
	})
}

// Sources that are remembered are bounded.
func TestWrongLoginsAreBounded(t *testing.T) {
	var w wrongs
	now := time.Now()
	for i := range 2 * mostSources {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)
		if pause := w.pause(p, now); pause > firstPause {
			t.Fatal(pause)
		}
	}
	if len(w.sources) != mostSources {
		t.Errorf("%d are remembered", len(w.sources))
	}
	w.pause(netip.MustParsePrefix("192.0.2.1/32"), now.Add(2*forgiveAfter))
	if len(w.sources) != 1 {
		t.Errorf("%d are remembered after hours", len(w.sources))
	}
}

type at struct {
	net.Conn
	addr net.Addr
}

func (a at) RemoteAddr() net.Addr { return a.addr }
