package fwtest

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/ownline"
)

// Driver is what a driver can do.
type Driver interface {
	Sync(ctx context.Context, want firewall.Ruleset) error
	Change(ctx context.Context, put []firewall.Forward, drop []firewall.Key) error
	Changed(ctx context.Context) (bool, error)
	Counters(ctx context.Context, of ...firewall.Key) (map[firewall.Key]ownline.Traffic, error)
}

// World is a router with a driver, and what surrounds it, of one address family.
type World struct {
	Driver   Driver
	Settings firewall.Settings

	Client, Neighbour netip.Prefix // two sources
	Target, Other     netip.AddrPort

	// Reach tries the public port from an address of a source, and reports which target
	// answered, if any did.
	Reach func(from netip.Prefix, transport ownline.Transport, port uint16) (netip.AddrPort, bool)

	LAN     netip.Prefix // that Target and Other are in, and
	LANHost netip.Addr   // a host that is neither
	// FromLAN tries a port of the router's public address from a host of the LAN, like Reach.
	FromLAN func(from netip.Addr, transport ownline.Transport, port uint16) (netip.AddrPort, bool)

	// Flush deletes all rules behind the driver's back.
	Flush func() error

	// Late is how late the kernel may end a session, and how long a probe may take, besides what
	// every driver has; zero for one that is exact.
	Late time.Duration
}

// Contract holds a driver to what every driver promises. It makes a new world for each part
// and each of IPv4 (false) and IPv6 (true). The numbers are those of the invariants.
func Contract(t *testing.T, run func(t *testing.T, ipv6 bool, test func(t *testing.T, w World))) {
	Parts(t, func(string) bool { return true }, run)
}

// Parts is those parts of the Contract whose names are wanted, like "IPv6 udp/4 a renewal extends".
func Parts(t *testing.T, wanted func(name string) bool, run func(t *testing.T, ipv6 bool, test func(t *testing.T, w World))) {
	parts := []struct {
		name string
		test func(*part)
	}{
		{"3 only its source gets in and only while it is wanted", (*part).opens},
		{"3 two sources on one port reach two targets", (*part).twoSources},
		{"3 another target replaces the first", (*part).retarget},
		{"3 the LAN comes by the public name to its own network alone", (*part).hairpin},
		{"4 access ends on time by itself", (*part).expires},
		{"4 a renewal extends", (*part).renews},
		{"4 a renewal by the time that was left extends", (*part).renewsBySame},
		{"4 a renewal may shorten", (*part).shortens},
		{"5 sync leaves nothing over", (*part).leavesNothing},
		{"5 what was flushed comes back", (*part).comesBack},
		{"6 before the first sync nothing opens", (*part).syncFirst},
		{"10 a wrong forward is refused whole and named", (*part).refuses},
		{"traffic is counted both ways and kept over renewals", (*part).counts},
	}
	for _, ipv6 := range []bool{false, true} {
		for _, transport := range []ownline.Transport{ownline.TCP, ownline.UDP} {
			name := map[bool]string{false: "IPv4 ", true: "IPv6 "}[ipv6] + string(transport)
			t.Run(name, func(t *testing.T) {
				for _, p := range parts {
					if !wanted(name + "/" + p.name) {
						continue
					}
					t.Run(p.name, func(t *testing.T) {
						run(t, ipv6, func(t *testing.T, w World) {
							p.test(&part{T: t, World: w, transport: transport})
						})
					})
				}
			})
		}
	}
}

const (
	publicPort = 24000
	// exact is how late every kernel may end a session, and how long a probe may take.
	exact = 100 * time.Millisecond
)

type part struct {
	*testing.T
	World
	transport ownline.Transport
}

func (p *part) within() time.Duration { return exact + p.Late }

func (p *part) key(source netip.Prefix) firewall.Key {
	return firewall.Key{Source: source, Transport: p.transport, Port: publicPort}
}

func (p *part) forward(source netip.Prefix, target netip.AddrPort, last time.Duration) firewall.Forward {
	return firewall.Forward{Key: p.key(source), Target: target, Until: time.Now().Add(last)}
}

func (p *part) sync(forwards ...firewall.Forward) {
	p.Helper()
	want := firewall.Ruleset{Settings: p.Settings, Forwards: map[firewall.Key]firewall.Forward{}}
	for _, f := range forwards {
		want.Forwards[f.Key] = f
	}
	if err := p.Driver.Sync(p.Context(), want); err != nil {
		p.Fatalf("Sync: %v", err)
	}
}

func (p *part) change(put []firewall.Forward, drop ...firewall.Key) {
	p.Helper()
	if err := p.Driver.Change(p.Context(), put, drop); err != nil {
		p.Fatalf("Change: %v", err)
	}
}

func (p *part) open(source netip.Prefix, target netip.AddrPort) {
	p.Helper()
	if got, ok := p.Reach(source, p.transport, publicPort); !ok || got != target {
		p.Fatalf("%s reaches %v, %v; want %s", source, got, ok, target)
	}
}

func (p *part) shut(source netip.Prefix) {
	p.Helper()
	if got, ok := p.Reach(source, p.transport, publicPort); ok {
		p.Fatalf("%s reaches %s; want the port shut", source, got)
	}
}

func (p *part) opens() {
	p.sync()
	p.shut(p.Client)
	p.shut(p.Neighbour)
	p.change([]firewall.Forward{p.forward(p.Client, p.Target, time.Minute)})
	p.open(p.Client, p.Target)
	p.shut(p.Neighbour)
	p.change(nil, p.key(p.Client))
	p.shut(p.Client)
	p.shut(p.Neighbour)
	p.change(nil, p.key(p.Client)) // gone already
}

func (p *part) twoSources() {
	p.sync()
	p.change([]firewall.Forward{p.forward(p.Client, p.Target, time.Minute), p.forward(p.Neighbour, p.Other, time.Minute)})
	p.open(p.Client, p.Target)
	p.open(p.Neighbour, p.Other)
	p.change(nil, p.key(p.Client))
	p.shut(p.Client)
	p.open(p.Neighbour, p.Other)
}

func (p *part) retarget() {
	p.sync(p.forward(p.Client, p.Target, time.Minute))
	p.open(p.Client, p.Target)
	p.change([]firewall.Forward{p.forward(p.Client, p.Other, time.Minute)})
	p.open(p.Client, p.Other)
	p.sync(p.forward(p.Client, p.Target, time.Minute))
	p.open(p.Client, p.Target)
	p.shut(p.Neighbour)
}

// fromLAN tries the public port from inside; want is no address if it should be shut.
func (p *part) fromLAN(want netip.AddrPort) {
	p.Helper()
	if got, ok := p.FromLAN(p.LANHost, p.transport, publicPort); ok != want.IsValid() || got != want {
		p.Fatalf("%s reaches %v, %v by the public name; want %v", p.LANHost, got, ok, want)
	}
}

func (p *part) hairpin() {
	none := netip.AddrPort{}
	p.sync()
	p.fromLAN(none)
	h := firewall.Hairpin{Network: p.LAN, Transport: p.transport, Port: publicPort, Target: p.Target}
	p.Settings.Hairpins = []firewall.Hairpin{h}
	p.sync()
	p.fromLAN(p.Target)
	p.shut(p.Client) // nobody else is let in by it
	if got, ok := p.FromLAN(p.LANHost, p.transport, publicPort+1); ok {
		p.Fatalf("%s answers at another port", got)
	}
	p.sync(p.forward(p.Client, p.Other, time.Minute)) // and no session is changed by it, or changes it
	p.open(p.Client, p.Other)
	p.fromLAN(p.Target)
	p.shut(p.Neighbour)
	p.Settings.Gateways = []netip.Addr{p.LANHost}
	p.sync(p.forward(p.Client, p.Other, time.Minute))
	p.fromLAN(none) // the whole internet may be behind that
	p.open(p.Client, p.Other)
	p.Settings.Gateways = nil
	if err := p.Flush(); err != nil {
		p.Fatal(err)
	}
	p.sync()
	p.fromLAN(p.Target)
	p.Settings.Hairpins = nil
	p.sync()
	p.fromLAN(none)

	h.Target = netip.AddrPortFrom(p.Client.Addr(), 7)
	p.Settings.Hairpins = []firewall.Hairpin{h}
	var named *ownline.FieldError
	err := p.Driver.Sync(p.Context(), firewall.Ruleset{Settings: p.Settings})
	if !errors.As(err, &named) || named.Field != "target" || !errors.Is(err, ownline.ErrInvalid) {
		p.Errorf("Sync of a hairpin into another network = %v", err)
	}
}

// soon tries what has to be looked at before a short time is over, with longer times until
// the machine was fast enough: try reports whether it was.
func (p *part) soon(try func(last time.Duration) bool) {
	p.Helper()
	for last := 300*time.Millisecond + 2*p.Late; last < 20*time.Second; last *= 2 {
		if try(last) {
			return
		}
	}
	p.Fatal("this machine is too slow")
}

// openUntil is open for a port that is shut at a time; false if it was too late to look.
func (p *part) openUntil(end time.Time) bool {
	p.Helper()
	got, ok := p.Reach(p.Client, p.transport, publicPort)
	if !time.Now().Before(end) {
		return false
	}
	if !ok || got != p.Target {
		p.Fatalf("%s reaches %v, %v; want %s", p.Client, got, ok, p.Target)
	}
	return true
}

func (p *part) expires() {
	p.sync()
	p.soon(func(last time.Duration) bool {
		f := p.forward(p.Client, p.Target, last)
		p.change([]firewall.Forward{f, p.forward(p.Neighbour, p.Target, -time.Second)})
		inTime := p.openUntil(f.Until)
		p.shut(p.Neighbour) // its time was over before it began
		time.Sleep(time.Until(f.Until) + p.within())
		p.shut(p.Client)
		return inTime
	})
	p.change([]firewall.Forward{p.forward(p.Client, p.Target, time.Minute)})
	p.open(p.Client, p.Target)
}

func (p *part) renews() {
	p.sync()
	p.soon(func(last time.Duration) bool {
		f := p.forward(p.Client, p.Target, last)
		p.change([]firewall.Forward{f})
		renewed := f
		renewed.Until = f.Until.Add(last)
		p.change([]firewall.Forward{renewed})
		inTime := time.Now().Before(f.Until)
		time.Sleep(time.Until(f.Until) + p.within())
		inTime = p.openUntil(renewed.Until) && inTime
		time.Sleep(time.Until(renewed.Until) + p.within())
		p.shut(p.Client)
		return inTime
	})
}

// renewsBySame renews by the time that it had at first: a kernel might see no difference.
func (p *part) renewsBySame() {
	p.sync()
	p.soon(func(last time.Duration) bool {
		same := p.forward(p.Client, p.Target, last)
		p.change([]firewall.Forward{same})
		time.Sleep(last / 2)
		again := p.forward(p.Client, p.Target, last)
		p.change([]firewall.Forward{again})
		inTime := time.Now().Before(same.Until)
		time.Sleep(time.Until(same.Until) + p.within())
		inTime = p.openUntil(again.Until) && inTime
		time.Sleep(time.Until(again.Until) + p.within())
		p.shut(p.Client)
		return inTime
	})
}

func (p *part) shortens() {
	p.sync()
	p.soon(func(last time.Duration) bool {
		long := p.forward(p.Client, p.Target, time.Hour)
		p.change([]firewall.Forward{long})
		long.Until = time.Now().Add(last)
		p.change([]firewall.Forward{long})
		inTime := p.openUntil(long.Until)
		time.Sleep(time.Until(long.Until) + p.within())
		p.shut(p.Client)
		return inTime
	})
}

func (p *part) leavesNothing() {
	p.sync(p.forward(p.Client, p.Target, time.Minute), p.forward(p.Neighbour, p.Target, time.Minute))
	p.open(p.Client, p.Target)
	p.open(p.Neighbour, p.Target)
	p.sync(p.forward(p.Neighbour, p.Other, time.Minute))
	p.shut(p.Client)
	p.open(p.Neighbour, p.Other)
	p.sync()
	p.shut(p.Neighbour)
}

func (p *part) comesBack() {
	f := p.forward(p.Client, p.Target, time.Minute)
	p.sync(f)
	if changed, err := p.Driver.Changed(p.Context()); changed || err != nil {
		p.Fatalf("Changed = %v, %v after Sync", changed, err)
	}
	if err := p.Flush(); err != nil {
		p.Fatal(err)
	}
	if changed, err := p.Driver.Changed(p.Context()); !changed || err != nil {
		p.Fatalf("Changed = %v, %v after a flush", changed, err)
	}
	p.shut(p.Client)
	err := p.Driver.Change(p.Context(), []firewall.Forward{p.forward(p.Neighbour, p.Target, time.Minute)}, nil)
	if !errors.Is(err, firewall.ErrOutOfStep) {
		p.Fatalf("Change = %v after a flush, want %v", err, firewall.ErrOutOfStep)
	}
	p.shut(p.Neighbour)
	p.sync(f)
	p.open(p.Client, p.Target)
	p.shut(p.Neighbour)
	if changed, err := p.Driver.Changed(p.Context()); changed || err != nil {
		p.Fatalf("Changed = %v, %v after the repair", changed, err)
	}
}

func (p *part) syncFirst() {
	err := p.Driver.Change(p.Context(), []firewall.Forward{p.forward(p.Client, p.Target, time.Minute)}, nil)
	if !errors.Is(err, firewall.ErrOutOfStep) {
		p.Fatalf("Change = %v, want %v", err, firewall.ErrOutOfStep)
	}
	p.shut(p.Client)
}

func (p *part) refuses() {
	p.sync(p.forward(p.Client, p.Target, time.Minute))
	wrong := map[string]func(*firewall.Forward){
		"source":      func(f *firewall.Forward) { f.Source = netip.PrefixFrom(f.Source.Addr(), f.Source.Bits()-1).Masked() },
		"transport":   func(f *firewall.Forward) { f.Transport = "sctp" },
		"public_port": func(f *firewall.Forward) { f.Port = 0 },
		"target":      func(f *firewall.Forward) { f.Target = netip.AddrPortFrom(f.Target.Addr(), 0) },
	}
	for field, spoil := range wrong {
		bad := p.forward(p.Neighbour, p.Target, time.Minute)
		spoil(&bad)
		good := p.forward(p.Client, p.Other, time.Minute)
		good.Port++
		var named *ownline.FieldError
		err := p.Driver.Change(p.Context(), []firewall.Forward{good, bad}, []firewall.Key{p.key(p.Client)})
		if !errors.As(err, &named) || named.Field != field || !errors.Is(err, ownline.ErrInvalid) {
			p.Errorf("Change = %v, want an error about %s", err, field)
		}
		err = p.Driver.Sync(p.Context(), firewall.Ruleset{Settings: p.Settings, Forwards: map[firewall.Key]firewall.Forward{bad.Key: bad}})
		if !errors.As(err, &named) || named.Field != field {
			p.Errorf("Sync = %v, want an error about %s", err, field)
		}
		if _, ok := p.Reach(p.Client, p.transport, good.Port); ok {
			p.Errorf("half of a refused change (%s) was made", field)
		}
	}
	p.open(p.Client, p.Target)
}

func (p *part) counts() {
	p.sync(p.forward(p.Client, p.Target, time.Minute), p.forward(p.Neighbour, p.Target, time.Minute))
	look := func() ownline.Traffic {
		p.Helper()
		all, err := p.Driver.Counters(p.Context())
		if err != nil || len(all) != 2 {
			p.Fatalf("Counters = %v, %v; want two", all, err)
		}
		if n := all[p.key(p.Neighbour)]; n != (ownline.Traffic{}) {
			p.Fatalf("the neighbour counts %+v without a packet", n)
		}
		return all[p.key(p.Client)]
	}
	traffic := func() ownline.Traffic { // the last packets of a connection come after its end
		p.Helper()
		for had := look(); ; {
			time.Sleep(50 * time.Millisecond)
			got := look()
			if got == had {
				return got
			}
			had = got
		}
	}
	if got := traffic(); got != (ownline.Traffic{}) {
		p.Fatalf("%+v before the first packet", got)
	}
	p.open(p.Client, p.Target)
	first := traffic()
	if first.UpBytes == 0 || first.UpPackets == 0 || first.DownBytes == 0 || first.DownPackets == 0 {
		p.Fatalf("%+v after a connection", first)
	}
	p.change([]firewall.Forward{p.forward(p.Client, p.Target, time.Hour)})
	if got := traffic(); got != first {
		p.Fatalf("%+v after a renewal, was %+v", got, first)
	}
	p.open(p.Client, p.Target)
	// How many packets a connection takes is not always the same.
	if got := traffic(); got.UpBytes <= first.UpBytes || got.UpPackets <= first.UpPackets || got.DownBytes <= first.DownBytes || got.DownPackets <= first.DownPackets {
		p.Fatalf("%+v after a second connection, was %+v", got, first)
	}
	all := look()
	gone := p.key(p.Client)
	gone.Port++
	if some, err := p.Driver.Counters(p.Context(), p.key(p.Client), gone); err != nil || some[p.key(p.Client)] != all {
		p.Fatalf("Counters of one = %v, %v; want %+v", some, err, all)
	}
	p.change([]firewall.Forward{p.forward(p.Client, p.Other, time.Hour)})
	if got := traffic(); got != (ownline.Traffic{}) {
		p.Fatalf("%+v for a session to another target", got)
	}
}
