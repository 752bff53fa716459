package proxy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// Good returns the services that may be served, and what is wrong with the others, naming each
// and its field. Web has judged before; this is the router's own last line, and stands between
// a name and the configuration of another program. Targets must lie inside the given networks.
func Good(services []link.Service, inside []netip.Prefix) (good []link.Service, err error) {
	var errs []error
	ids, names := map[ownline.ServiceID]bool{}, map[string]bool{}
	for _, s := range services {
		err := check(s, inside)
		if err == nil && (ids[s.ID] || names[s.Name]) {
			err = ownline.Conflict("name", "is there twice")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("service %.70q: %w", s.Name, err))
			continue
		}
		ids[s.ID], names[s.Name] = true, true
		good = append(good, s)
	}
	return good, errors.Join(errs...)
}

func check(s link.Service, inside []netip.Prefix) error {
	if s.ID.IsZero() {
		return ownline.Invalid("id", "missing")
	}
	if s.ID == ownline.DoorstepID || s.Name == ownline.Doorstep {
		return ownline.Invalid("name", fmt.Sprintf("%q is the doorstep's, where guests come", ownline.Doorstep))
	}
	if s.Name == ownline.BrokerName {
		return ownline.Invalid("name", fmt.Sprintf("%q is the name of the broker inside web, for which this router signs certificates", s.Name))
	}
	if err := ownline.CheckServiceName(s.Name); err != nil {
		return err
	}
	if err := CheckTargets(s.Target4, s.Target6, inside); err != nil {
		return err
	}
	return s.Options.Validate()
}

// CheckTargets refuses what does not lie inside the given networks. One of the two may be zero.
func CheckTargets(target4, target6 netip.AddrPort, inside []netip.Prefix) error {
	if !target4.IsValid() && !target6.IsValid() {
		return ownline.Invalid("target", "missing")
	}
	for _, t := range []netip.AddrPort{target4, target6} {
		if t == (netip.AddrPort{}) {
			continue
		}
		if t.Port() == 0 || !slices.ContainsFunc(inside, func(p netip.Prefix) bool { return p.Contains(t.Addr()) }) {
			return ownline.Invalid("target", fmt.Sprintf("%s is in none of the router's local networks %v; see local_networks in core.yaml", t, inside))
		}
	}
	return nil
}
