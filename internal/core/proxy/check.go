package proxy

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// Check refuses services that no driver may serve, naming the first and its field. Web has
// judged before; this is the router's own last line, and stands between a name and the
// configuration of another program. Targets must lie inside the given networks.
func Check(services []link.Service, inside []netip.Prefix) error {
	ids, names := map[ownline.ServiceID]bool{}, map[string]bool{}
	for _, s := range services {
		if err := check(s, inside); err != nil {
			return fmt.Errorf("service %.70q: %w", s.Name, err)
		}
		if ids[s.ID] || names[s.Name] {
			return ownline.Conflict("services", fmt.Sprintf("%q is there twice", s.Name))
		}
		ids[s.ID], names[s.Name] = true, true
	}
	return nil
}

func check(s link.Service, inside []netip.Prefix) error {
	if s.ID.IsZero() {
		return ownline.Invalid("id", "missing")
	}
	if err := ownline.CheckServiceName(s.Name); err != nil {
		return err
	}
	if !s.Target4.IsValid() && !s.Target6.IsValid() {
		return ownline.Invalid("target", "missing")
	}
	for _, t := range []netip.AddrPort{s.Target4, s.Target6} {
		if t == (netip.AddrPort{}) {
			continue
		}
		if t.Port() == 0 || !slices.ContainsFunc(inside, func(p netip.Prefix) bool { return p.Contains(t.Addr()) }) {
			return ownline.Invalid("target", fmt.Sprintf("%s is in none of the router's local networks %v; see local_networks in core.yaml", t, inside))
		}
	}
	return s.Options.Validate()
}
