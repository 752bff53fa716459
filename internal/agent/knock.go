// Package agent is a device's side: it knocks. Its sub-folders keep what it knocks with.
package agent

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
)

// again is how long an answer is waited for before another knock is sent: a lost packet
// must not cost more. Each knock is a new one, because each counts once. Only tests change it.
var again = time.Second

const (
	// hurry is how long after the first answer the other family's knock counts as lost: both went
	// out together, so there is no reason to wait for as long as again.
	hurry = 200 * time.Millisecond
	// grace is what the answer to that second knock is waited for at least, see graceAfter.
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
	ClaimBy  []string          // services that tell the addresses to claim, see PublicAddress; none: Claimed alone
	Grace    time.Duration     // how much longer the other family is waited for once one has answered; 0: until one more could be answered
}

// Reply is what became of the knocks by one address family.
type Reply struct {
	Family string         // "4" or "6"
	Server netip.AddrPort // where the knocks went by UDP
	Broker string         // or through which broker
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

// answered is the reply with the answer to a knock that was sent at the given time.
func (r Reply) answered(a knock.Answer, at time.Time) Reply {
	now := time.Now()
	r.Answer, r.Err, r.Took = a, nil, now.Sub(at)
	r.Skew = a.Time.Sub(now.Add(-r.Took / 2))
	return r
}

// Knock knocks at every address family of the site's host at once, again and again until
// each has answered or ctx ends; when none has for a while, through the profile's broker as
// well. It returns a reply for each family and way; the error says that nothing could be
// tried.
func Knock(ctx context.Context, r Request) ([]Reply, error) {
	keys, err := knock.DeriveKeys(r.Profile.Key, r.Profile.Site)
	if err != nil {
		return nil, err
	}
	servers, err := resolve(ctx, r)
	return knockBy(ctx, keys, r, servers, err)
}

// knockBy knocks at the servers, of which there may be none for a reason.
func knockBy(ctx context.Context, keys *knock.Keys, r Request, servers []netip.AddrPort, why error) ([]Reply, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	unheard, heard := context.WithCancel(ctx) // lives for as long as nothing came back by UDP
	defer heard()
	calm, nudge := context.WithCancel(ctx) // lives until that was a while ago
	defer nudge()
	var ways []func() Reply
	for _, server := range servers {
		ways = append(ways, func() Reply {
			reply := knockAt(ctx, calm, server, keys, r)
			if reply.Err == nil {
				heard()
				time.AfterFunc(hurry, nudge)
			}
			return reply
		})
	}
	if r.Profile.Broker.URL != "" && !(r.Only4 && r.Only6) {
		udp := len(servers) > 0 && !r.Silent
		for _, family := range families(r) {
			ways = append(ways, func() Reply {
				if udp && !pause(unheard, patience) {
					return Reply{Family: family, Broker: r.Profile.Broker.URL, Err: errNotNeeded}
				}
				return knockThrough(ctx, keys, r, family)
			})
		}
	}
	if len(ways) == 0 {
		return nil, why
	}
	replies := make([]Reply, len(ways))
	var wg sync.WaitGroup
	for i, way := range ways {
		wg.Go(func() {
			replies[i] = way()
			if replies[i].Err == nil && !r.Silent {
				// The others may not work at all from here.
				time.AfterFunc(cmp.Or(r.Grace, graceAfter(replies[i])), cancel)
			}
		})
	}
	wg.Wait()
	return slices.DeleteFunc(replies, func(r Reply) bool { return errors.Is(r.Err, errNotNeeded) }), nil
}

// graceAfter is how much longer the other family is waited for after the first answer: until a
// knock that got lost has been followed by another and that one was answered, as slowly as this one.
func graceAfter(first Reply) time.Duration {
	if first.Broker != "" {
		return hurry + grace // how long a broker takes says nothing of UDP
	}
	return hurry + max(grace, 2*first.Took)
}

// errNotNeeded marks a way that was not tried.
var errNotNeeded = errors.New("not needed")

func families(r Request) []string {
	switch {
	case r.Only4:
		return []string{"4"}
	case r.Only6:
		return []string{"6"}
	}
	return []string{"4", "6"}
}

// pause reports whether d has gone by before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
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

// knockAt knocks until there is an answer or ctx ends. When calm ends the next knock is sent without
// waiting any longer for the answer to the last.
func knockAt(ctx, calm context.Context, server netip.AddrPort, keys *knock.Keys, r Request) Reply {
	reply := Reply{Family: "4", Server: server, Err: ErrNoAnswer}
	if server.Addr().Is6() {
		reply.Family = "6"
	}
	if claimed := r.Claimed.Unmap(); len(r.ClaimBy) > 0 && (!claimed.IsValid() || claimed.Is4() != server.Addr().Is4()) {
		var err error
		if r.Claimed, err = PublicAddress(ctx, r.ClaimBy, reply.Family); err != nil {
			reply.Err = err
			return reply
		}
	}
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
		answer, asked, ok := await(ctx, calm, conn, keys, all)
		if ok {
			return reply.answered(answer, asked.at)
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
func await(ctx, calm context.Context, conn *net.UDPConn, keys *knock.Keys, all []sent) (knock.Answer, sent, bool) {
	deadline := time.Now().Add(again)
	if err := conn.SetReadDeadline(deadline); err != nil {
		return knock.Answer{}, sent{}, false
	}
	if calm.Err() == nil { // once: the knocks after that have their time again
		stop := context.AfterFunc(calm, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
		defer stop()
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
