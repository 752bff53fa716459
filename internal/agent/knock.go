// Package agent is a device's side: it knocks. Its sub-folders keep what it knocks with.
package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
)

const (
	// again is how long an answer is waited for before another knock is sent: a lost packet
	// must not cost more. Each knock is a new one, because each counts once.
	again = time.Second
	// grace is how much longer the other family is waited for once one has answered.
	grace = 400 * time.Millisecond
)

// ErrNoAnswer says that nothing came back in time.
var ErrNoAnswer = errors.New("no answer")

// Request is what to knock for.
type Request struct {
	Profile  ownline.Profile
	Service  ownline.ServiceID // zero: every automatic grant
	Duration time.Duration     // 0: the default
	Claimed  netip.Addr        // the device's public address, if it is sure; zero: none
	Only4    bool              // IPv4 alone
	Only6    bool              // IPv6 alone
	Silent   bool              // send one knock by each family and wait for nothing
}

// Reply is what became of the knocks by one address family.
type Reply struct {
	Server netip.AddrPort // where the knocks went
	Sent   int            // how many
	Answer knock.Answer   // zero when Err is not nil
	Skew   time.Duration  // how far core's clock is ahead of ours
	Took   time.Duration  // from the knock that was answered to its answer
	Err    error          // ErrNoAnswer, or why nothing could be sent
}

// OK reports whether the device is let in, or needs not be because it is inside.
func (r Reply) OK() bool {
	if r.Err != nil {
		return false
	}
	switch r.Answer.Status {
	case knock.Opened, knock.Renewed, knock.Inside:
		return true
	}
	return false
}

// Knock knocks at every address family of the site's host at once, again and again until
// each has answered or ctx ends. It returns a reply for each family; the error says that
// nothing could be tried.
func Knock(ctx context.Context, r Request) ([]Reply, error) {
	keys, err := knock.DeriveKeys(r.Profile.Key, r.Profile.Site)
	if err != nil {
		return nil, err
	}
	servers, err := resolve(ctx, r)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	replies := make([]Reply, len(servers))
	var wg sync.WaitGroup
	for i, server := range servers {
		wg.Go(func() {
			replies[i] = knockAt(ctx, server, keys, r)
			if replies[i].Err == nil && !r.Silent {
				// The other family may not work at all from here.
				time.AfterFunc(grace, cancel)
			}
		})
	}
	wg.Wait()
	return replies, nil
}

// resolve finds one address of each family.
func resolve(ctx context.Context, r Request) ([]netip.AddrPort, error) {
	network := "ip"
	switch {
	case r.Only4 && r.Only6:
		return nil, ownline.Invalid("family", "IPv4 alone and IPv6 alone exclude each other")
	case r.Only4:
		network = "ip4"
	case r.Only6:
		network = "ip6"
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, network, r.Profile.Host)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", r.Profile.Host, err)
	}
	var out []netip.AddrPort
	var have4, have6 bool
	for _, a := range addrs {
		a = a.Unmap()
		if a.Is4() && !have4 || a.Is6() && !have6 {
			have4, have6 = have4 || a.Is4(), have6 || a.Is6()
			out = append(out, netip.AddrPortFrom(a, r.Profile.Port))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("find %s: it has no address of that family", r.Profile.Host)
	}
	return out, nil
}

type sent struct {
	nonce knock.Nonce
	at    time.Time
}

func knockAt(ctx context.Context, server netip.AddrPort, keys *knock.Keys, r Request) Reply {
	reply := Reply{Server: server, Err: ErrNoAnswer}
	// A connected socket takes packets from nobody else.
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(server))
	if err != nil {
		reply.Err = err
		return reply
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var all []sent
	for ctx.Err() == nil {
		s, err := send(conn, keys, r)
		if err != nil && !isICMP(err) {
			if len(all) == 0 {
				reply.Err = err
			}
			return reply
		}
		all = append(all, s)
		reply.Sent++
		if r.Silent {
			reply.Err = nil
			return reply
		}
		answer, asked, ok := await(ctx, conn, keys, all)
		if ok {
			now := time.Now()
			reply.Answer, reply.Err, reply.Took = answer, nil, now.Sub(asked.at)
			reply.Skew = answer.Time.Sub(now.Add(-reply.Took / 2))
			return reply
		}
	}
	return reply
}

func send(conn *net.UDPConn, keys *knock.Keys, r Request) (sent, error) {
	s := sent{at: time.Now()}
	rand.Read(s.nonce[:]) // never fails: crypto/rand crashes the program instead
	p := keys.Seal(knock.Knock{
		Nonce: s.nonce, Time: s.at, AnswerWanted: !r.Silent, Service: r.Service, Duration: r.Duration, Claimed: claimFor(conn, r.Claimed),
	})
	_, err := conn.Write(p[:])
	return s, err
}

// claimFor returns the address to claim on this connection: one of the other family would
// only get the knock refused.
func claimFor(conn *net.UDPConn, a netip.Addr) netip.Addr {
	remote := conn.RemoteAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	if a.IsValid() && a.Unmap().Is4() != remote.Is4() {
		return netip.Addr{}
	}
	return a
}

// await reads until the answer to one of the knocks is there or it is time for another.
func await(ctx context.Context, conn *net.UDPConn, keys *knock.Keys, all []sent) (knock.Answer, sent, bool) {
	deadline := time.Now().Add(again)
	if err := conn.SetReadDeadline(deadline); err != nil {
		return knock.Answer{}, sent{}, false
	}
	var buf [knock.Size + 1]byte
	for ctx.Err() == nil {
		n, err := conn.Read(buf[:])
		if isICMP(err) {
			continue // anybody on the way can send those; they prove nothing
		}
		if err != nil {
			return knock.Answer{}, sent{}, false
		}
		if n != knock.Size {
			continue
		}
		for _, s := range all {
			p := knock.Packet(buf[:knock.Size]) // a copy: opening decrypts in place
			if a, err := keys.OpenAnswer(&p, s.nonce); err == nil {
				return a, s, true
			}
		}
	}
	return knock.Answer{}, sent{}, false
}
