package nft_test

import (
	"slices"
	"testing"

	"github.com/google/nftables"

	"github.com/ownline/ownline/internal/core/firewall/nft"
	"github.com/ownline/ownline/test/bed/bedtest"
)

// The chains of others that may drop what Ownline lets through are found, ours and harmless ones are not.
func TestDropping(t *testing.T) {
	b := bedtest.New(t)
	d := newDriver(t, b.Router, nft.Config{})
	sync(t, d, ruleset(settings))
	if got, err := d.Dropping(t.Context()); err != nil || len(got) != 0 {
		t.Fatalf("on an open router: %v, %v", got, err)
	}
	drop, accept := nftables.ChainPolicyDrop, nftables.ChainPolicyAccept
	err := b.Router.Do(func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		add := func(family nftables.TableFamily, table, name string, hook *nftables.ChainHook, policy *nftables.ChainPolicy) {
			c.AddChain(&nftables.Chain{
				Table: c.AddTable(&nftables.Table{Family: family, Name: table}), Name: name,
				Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: nftables.ChainPriorityFilter, Policy: policy,
			})
		}
		add(nftables.TableFamilyINet, "fw", "fwd", nftables.ChainHookForward, &drop)
		add(nftables.TableFamilyINet, "fw", "in", nftables.ChainHookInput, &accept)
		add(nftables.TableFamilyINet, "fw", "out", nftables.ChainHookOutput, &drop)
		add(nftables.TableFamilyIPv4, "filter", "FORWARD", nftables.ChainHookForward, &drop)
		add(nftables.TableFamilyIPv6, "filter", "INPUT", nftables.ChainHookInput, &drop)
		return c.Flush()
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.Dropping(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(got))
	for i, c := range got {
		names[i] = c.Hook + " by " + c.String()
	}
	slices.Sort(names)
	want := []string{"forward by inet fw fwd", "forward by ip filter FORWARD", "input by ip6 filter INPUT"}
	if !slices.Equal(names, want) {
		t.Errorf("found %v, want %v", names, want)
	}
}
