package fwtest

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/ownline"
)

// Settings are those that most tests of drivers use.
var Settings = firewall.Settings{IPv6Prefix: 64, KnockPort: 54754, KnockLength: 128}

// Transports are those that a forward may have.
var Transports = []ownline.Transport{ownline.TCP, ownline.UDP}

// Source is the network of an address that a session would admit.
func Source(a netip.Addr) netip.Prefix {
	p, err := ownline.SourceOf(a, Settings.IPv6Prefix)
	if err != nil { // documentation addresses are public to us
		panic(err)
	}
	return p
}

// Forward is one that lasts so long from now on.
func Forward(from netip.Addr, transport ownline.Transport, port uint16, target netip.AddrPort, last time.Duration) firewall.Forward {
	return firewall.Forward{
		Key:    firewall.Key{Source: Source(from), Transport: transport, Port: port},
		Target: target, Until: time.Now().Add(last),
	}
}

// Ruleset is one that wants these forwards.
func Ruleset(s firewall.Settings, forwards ...firewall.Forward) firewall.Ruleset {
	r := firewall.Ruleset{Settings: s, Forwards: map[firewall.Key]firewall.Forward{}}
	for _, f := range forwards {
		r.Forwards[f.Key] = f
	}
	return r
}

// Sync has a driver make the kernel hold what is wanted.
func Sync(tb testing.TB, d Driver, want firewall.Ruleset) {
	tb.Helper()
	if err := d.Sync(tb.Context(), want); err != nil {
		tb.Fatal(err)
	}
}

// Change has a driver put some forwards and drop others.
func Change(tb testing.TB, d Driver, put []firewall.Forward, drop ...firewall.Key) {
	tb.Helper()
	if err := d.Change(tb.Context(), put, drop); err != nil {
		tb.Fatal(err)
	}
}
