package agent

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
)

// site answers knocks on loopback like a core would.
type site struct {
	conn    *net.UDPConn
	keys    *knock.Keys
	profile ownline.Profile
	got     chan knock.Knock
	done    chan struct{}
}

// newSite answers from the knock with that number on (1: the first), after noise.
func newSite(t *testing.T, from int, status knock.Status) *site {
	t.Helper()
	return newSiteOf(t, ownline.NewID[ownline.Site](), from, status, 0)
}

// newSiteOf is slow to answer; two of one ID stand for the two addresses of one site.
func newSiteOf(t *testing.T, id ownline.SiteID, from int, status knock.Status, slow time.Duration) *site {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	p := ownline.Profile{
		Host: "127.0.0.1", Port: conn.LocalAddr().(*net.UDPAddr).AddrPort().Port(),
		Site: id, Device: ownline.NewID[ownline.Device](), Key: bytes.Repeat([]byte{3}, 32),
	}
	s := &site{conn: conn, profile: p, got: make(chan knock.Knock, 10), done: make(chan struct{})}
	if s.keys, err = knock.DeriveKeys(p.Key, p.Site); err != nil {
		t.Fatal(err)
	}
	go s.serve(from, status, slow)
	t.Cleanup(func() { conn.Close(); <-s.done })
	return s
}

func (s *site) serve(from int, status knock.Status, slow time.Duration) {
	defer close(s.done)
	var buf [2000]byte
	for i := 1; ; i++ {
		n, addr, err := s.conn.ReadFromUDPAddrPort(buf[:])
		if err != nil {
			return
		}
		if n != knock.Size {
			continue
		}
		p := knock.Packet(buf[:n])
		k, err := s.keys.Open(&p)
		if err != nil {
			continue
		}
		s.got <- k
		if i < from || !k.AnswerWanted {
			continue
		}
		time.Sleep(slow)
		forged := s.keys.SealAnswer(knock.Nonce{9}, knock.Nonce{8}, knock.Answer{Status: knock.Refused, Time: time.Now()})
		_, _ = s.conn.WriteToUDPAddrPort([]byte("noise"), addr)
		_, _ = s.conn.WriteToUDPAddrPort(forged[:], addr)
		a := s.keys.SealAnswer(k.Nonce, knock.Nonce{byte(i)}, knock.Answer{
			Status: status, Sessions: 2, Time: time.Now().Add(time.Hour), Source: addr.Addr(), Expires: time.Now().Add(time.Minute),
		})
		_, _ = s.conn.WriteToUDPAddrPort(a[:], addr)
	}
}

func TestKnock(t *testing.T) {
	s := newSite(t, 1, knock.Opened)
	service := ownline.NewID[ownline.Service]()
	replies, err := Knock(t.Context(), Request{Profile: s.profile, Service: service, Duration: time.Minute, Claimed: netip.MustParseAddr("198.51.100.7")})
	if err != nil || len(replies) != 1 {
		t.Fatal(replies, err)
	}
	r := replies[0]
	if !r.OK() || r.Sent != 1 || r.Answer.Sessions != 2 || r.Answer.Source != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("got %+v", r)
	}
	if d := (r.Skew - time.Hour).Abs(); d > 5*time.Second {
		t.Errorf("skew %s", r.Skew)
	}
	k := <-s.got
	if k.Service != service || k.Duration != time.Minute || !k.AnswerWanted || k.Claimed != netip.MustParseAddr("198.51.100.7") {
		t.Errorf("knocked %+v", k)
	}
}

// A knock counts once: after a loss another one is sent, not the same again. (Invariant 2.)
func TestLostKnock(t *testing.T) {
	s := newSite(t, 2, knock.Renewed)
	replies, err := Knock(t.Context(), Request{Profile: s.profile})
	if err != nil || !replies[0].OK() || replies[0].Sent != 2 {
		t.Fatalf("got %+v, %v", replies, err)
	}
	if a, b := <-s.got, <-s.got; a.Nonce == b.Nonce {
		t.Error("the same knock was sent again")
	}
}

// The family whose first packet gets lost is let in as well: the answer of the other is a reason to
// try it again, soon, and none to give it up before that was answered.
func TestLostKnockOfOneFamily(t *testing.T) {
	usual := again
	defer func() { again = usual }()
	again = time.Hour
	for name, tc := range map[string]struct{ slow, grace time.Duration }{
		"a site nearby":   {0, time.Minute},
		"a site far away": {500 * time.Millisecond, 0},
	} {
		t.Run(name, func(t *testing.T) {
			id := ownline.NewID[ownline.Site]()
			good, lossy := newSiteOf(t, id, 1, knock.Opened, tc.slow), newSiteOf(t, id, 2, knock.Opened, tc.slow)
			at := func(s *site) netip.AddrPort {
				return netip.AddrPortFrom(netip.MustParseAddr(s.profile.Host), s.profile.Port)
			}
			replies, err := knockBy(t.Context(), good.keys, Request{Profile: good.profile, Grace: tc.grace}, []netip.AddrPort{at(good), at(lossy)}, nil)
			if err != nil || len(replies) != 2 || !replies[0].OK() || !replies[1].OK() || replies[0].Sent != 1 || replies[1].Sent != 2 {
				t.Errorf("got %+v, %v", replies, err)
			}
		})
	}
}

// A family without a route is not waited for, however long one that answers late would be.
func TestFamilyWithoutRoute(t *testing.T) {
	s := newSite(t, 1, knock.Opened)
	begun := time.Now()
	nowhere := netip.MustParseAddrPort("[fe80::1]:54754") // by which interface is not said
	here := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), s.profile.Port)
	replies, err := knockBy(t.Context(), s.keys, Request{Profile: s.profile, Grace: time.Minute}, []netip.AddrPort{here, nowhere}, nil)
	if err != nil || !replies[0].OK() || replies[1].Err == nil || errors.Is(replies[1].Err, ErrNoAnswer) || time.Since(begun) > 30*time.Second {
		t.Errorf("got %+v, %v", replies, err)
	}
}

func TestRefused(t *testing.T) {
	for status, ok := range map[knock.Status]bool{knock.Inside: true, knock.NothingGranted: false, knock.Refused: false} {
		s := newSite(t, 1, status)
		replies, err := Knock(t.Context(), Request{Profile: s.profile})
		if err != nil || replies[0].OK() != ok || replies[0].Answer.Status != status {
			t.Errorf("%s: got %+v, %v", status, replies, err)
		}
	}
}

// A closed port answers with ICMP errors; they end nothing early.
func TestNoAnswer(t *testing.T) {
	s := newSite(t, 1, knock.Opened)
	s.conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	start := time.Now()
	replies, err := Knock(ctx, Request{Profile: s.profile})
	if err != nil || !errors.Is(replies[0].Err, ErrNoAnswer) || replies[0].Sent != 2 || time.Since(start) < 1400*time.Millisecond {
		t.Errorf("got %+v, %v after %s", replies, err, time.Since(start))
	}
}

func TestSilent(t *testing.T) {
	s := newSite(t, 1, knock.Opened)
	replies, err := Knock(t.Context(), Request{Profile: s.profile, Silent: true})
	if err != nil || replies[0].Err != nil || replies[0].Sent != 1 {
		t.Errorf("got %+v, %v", replies, err)
	}
	if k := <-s.got; k.AnswerWanted {
		t.Error("an answer was asked for")
	}
}

func TestFamilies(t *testing.T) {
	s := newSite(t, 1, knock.Opened)
	if _, err := Knock(t.Context(), Request{Profile: s.profile, Only6: true}); err == nil {
		t.Error("knocked by IPv6 at an IPv4 address")
	}
	if _, err := Knock(t.Context(), Request{Profile: s.profile, Only4: true, Only6: true}); !errors.Is(err, ownline.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}
