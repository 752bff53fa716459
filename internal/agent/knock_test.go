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
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	p := ownline.Profile{
		Host: "127.0.0.1", Port: conn.LocalAddr().(*net.UDPAddr).AddrPort().Port(),
		Site: ownline.NewID[ownline.Site](), Device: ownline.NewID[ownline.Device](), Key: bytes.Repeat([]byte{3}, 32),
	}
	s := &site{conn: conn, profile: p, got: make(chan knock.Knock, 10), done: make(chan struct{})}
	if s.keys, err = knock.DeriveKeys(p.Key, p.Site); err != nil {
		t.Fatal(err)
	}
	go s.serve(from, status)
	t.Cleanup(func() { conn.Close(); <-s.done })
	return s
}

func (s *site) serve(from int, status knock.Status) {
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
