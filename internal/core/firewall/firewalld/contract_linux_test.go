package firewalld_test

import (
	"errors"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall/firewalld"
	"github.com/ownline/ownline/internal/core/firewall/fwtest"
	"github.com/ownline/ownline/internal/core/firewall/netlink"
	"github.com/ownline/ownline/internal/core/firewall/nft"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

// The contract holds where firewalld refuses all else.
func TestContract(t *testing.T) {
	for _, family := range []string{"IPv4", "IPv6"} {
		t.Run(family, func(t *testing.T) {
			b, f := start(t)
			contract(t, b, f, func(name string) bool { return strings.HasPrefix(name, family) })
		})
	}
}

// contract holds the driver to parts of it. What is flushed is what firewalld forgets when it is reloaded.
func contract(t *testing.T, b *bed.Bed, f *bedtest.Firewalld, wanted func(name string) bool) {
	cfg := firewalld.Config{Bus: f.Bus}
	fwtest.Parts(t, wanted, func(t *testing.T, ipv6 bool, test func(*testing.T, fwtest.World)) {
		if err := firewalld.Remove(t.Context(), cfg); err != nil { // what the part before left
			t.Fatal(err)
		}
		if err := b.Router.Do(func() error { _, err := nft.Remove(); return errors.Join(err, forget()) }); err != nil {
			t.Fatal(err)
		}
		s := bedtest.Sides(b)[0]
		if ipv6 {
			s = bedtest.Sides(b)[1]
		}
		hosts := map[netip.Prefix]*bed.Host{source(s.Addr(s.Client)): s.Client, source(s.Addr(s.Neighbour)): s.Neighbour}
		flush := func() error { _, err := f.Told("--reload"); return err }
		test(t, fwtest.World{
			Driver: newDriver(t, b.Router, cfg), Settings: settings, // exact, as Promised.Late says
			Client: source(s.Addr(s.Client)), Neighbour: source(s.Addr(s.Neighbour)),
			Target: netip.AddrPortFrom(s.LAN, whoPort), Other: netip.AddrPortFrom(s.Other, whoPort),
			Reach: func(from netip.Prefix, transport ownline.Transport, port uint16) (netip.AddrPort, bool) {
				return hosts[from].AskWho(patience, string(transport), netip.AddrPortFrom(s.Router, port))
			},
			LAN: s.Network(), LANHost: s.Third,
			FromLAN: func(from netip.Addr, transport ownline.Transport, port uint16) (netip.AddrPort, bool) {
				return b.Lan.From(from).AskWho(patience, string(transport), netip.AddrPortFrom(s.Router, port))
			},
			Flush: flush,
		})
	})
}

// forget has the kernel forget all connections: a part whose client takes the port of one before by chance would go on with that.
func forget() error {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer conn.Close()
	const ctDelete = 2 // IPCTNL_MSG_CT_DELETE of <linux/netfilter/nfnetlink_conntrack.h>: of none in particular, it is of all
	var m netlink.Message
	m.Begin(unix.NFNL_SUBSYS_CTNETLINK<<8|ctDelete, unix.NLM_F_ACK)
	m.Raw(unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0)
	return conn.Do(&m, nil)
}

// Where firewalld works by iptables, the contract holds as well, and core says when others have flushed firewalld's
// rules, where it can see them.
func TestByIPTables(t *testing.T) {
	for variant, family := range map[string]string{"nft": "IPv4 tcp/", "legacy": "IPv6 tcp/"} {
		t.Run(variant, func(t *testing.T) {
			b, f := startBy(t, variant)
			t.Run("contract", func(t *testing.T) {
				contract(t, b, f, func(name string) bool {
					if os.Getenv("OWNLINE_SOAK") != "" {
						return true
					}
					_, part, _ := strings.Cut(name, "/")
					return strings.HasPrefix(name, family) && slices.Contains([]string{"3", "5"}, part[:1]) ||
						strings.HasPrefix(name, family+"4 access ends")
				})
			})
			d := newDriver(t, b.Router, firewalld.Config{Bus: f.Bus})
			s := bedtest.Sides(b)[0]
			at := netip.AddrPortFrom(s.Router, 24000)
			want := ruleset(settings, forward(s.Addr(s.Client), ownline.TCP, 24000, netip.AddrPortFrom(s.LAN, whoPort), time.Hour))
			sync(t, d, want)
			opens(t, s.Client, ownline.TCP, at, "at first")
			if variant == "legacy" {
				rules := b.Router.Command(t.Context(), "/usr/sbin/iptables-legacy", "-t", "nat", "-S", "PRE_ownline_allow")
				if out, err := output(b.Router, rules); err != nil || !strings.Contains(out, "24000") {
					t.Errorf("iptables-legacy has %q, %v", out, err)
				}
				return
			}
			listing(t, b.Router, "flush", "ruleset")
			for range 2 {
				if err := d.Sync(t.Context(), want); err == nil || !strings.Contains(err.Error(), "restart firewalld") {
					t.Errorf("after a flush, Sync = %v", err)
				}
			}
			shut(t, s.Client, ownline.TCP, at, "after a flush and Sync")
			f.Kill()
			f.IPTables = "legacy" // which can't be seen
			f.Start()
			changed(t, d, true, "after a start")
			sync(t, d, want)
			opens(t, s.Client, ownline.TCP, at, "after a start and Sync")
		})
	}
}
