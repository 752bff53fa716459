//go:build !noproxy

package core

import (
	"context"
	"net/netip"
	"time"

	"github.com/ownline/ownline/internal/core/doorstep"
	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// withDoorstep is an admission that knows the doorstep, too.
func (n *names) withDoorstep(admit proxy.Admission) proxy.Admission {
	return func(service ownline.ServiceID, source netip.Addr) (context.Context, bool) {
		live, ok := admit(service, source)
		if ok || service != ownline.DoorstepID {
			return live, ok
		}
		return n.doorstep.Admit()
	}
}

// expect says what the doorstep is to be, nil for none, and until when it is open to everybody
// (zero: shut). The firewall and the driver follow with what is applied next. On an error there
// is none.
func (n *names) expect(want *link.Doorstep, until time.Time, inside []netip.Prefix) error {
	if n == nil {
		return nil
	}
	var err error
	if want != nil {
		err = proxy.CheckTargets(want.Web4, want.Web6, inside)
	}
	if want == nil || err != nil {
		n.guests.Store(false)
		n.openTo(nil, time.Time{})
		return err
	}
	n.guests.Store(true)
	var web []netip.AddrPort
	for _, t := range []netip.AddrPort{want.Web4, want.Web6} {
		if t.IsValid() {
			web = append(web, t)
		}
	}
	n.openTo(web, until)
	return nil
}

// openTo opens the proxy's port until then, or shuts it and lets who is there have an answer.
func (n *names) openTo(web []netip.AddrPort, until time.Time) {
	was := n.doorstep.Until()
	n.doorstep.Set(web, until)
	is := n.doorstep.Until()
	if was.IsZero() && is.IsZero() {
		return // one that was shut a moment ago may be lasting still
	}
	stay := time.Now()
	if is.After(stay) {
		stay = is
	}
	var ports []firewall.Public
	for _, addr := range []netip.Addr{n.address.Addr4, n.address.Addr6} {
		if addr.IsValid() {
			ports = append(ports, firewall.Public{AddrPort: netip.AddrPortFrom(addr, n.settings.Port), Until: is, Stay: stay.Add(doorstep.Grace)})
		}
	}
	n.public.guests(ports)
}

// doorstepService is what the doorstep is to the driver. It is served also while it is shut,
// so that there is a certificate when it opens, and nothing to reload.
func (n *names) doorstepService() link.Service {
	return link.Service{ID: ownline.DoorstepID, Name: ownline.Doorstep, Target4: n.doorstep.Addr()}
}
