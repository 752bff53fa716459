package policy

import (
	"net/netip"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// Request is one port of the router that an fwknop client wants to have opened, and what it says
// of the service behind it: nothing, the service's name, or its target.
type Request struct {
	Transport ownline.Transport
	Port      uint16
	Name      string
	Target    netip.AddrPort
}

// Pick is a service that is to be opened.
type Pick struct {
	Offer
	Port uint16 // that it has to have; 0: any, or the one that it has
	Open bool   // it was not asked for, but is for everybody
}

// Requested selects what an fwknop client opens of all that its user may use at the site: the
// services that have the ports, or could have them, and are those that are named. All requests
// must find one, or nothing is selected. After them comes what is for everybody, as with Knocked.
// The ask is the client's, without a port; live are the ports of the sessions that the device has
// for its source, which their services keep. The facts' service and grant count for nothing.
func Requested(requests []Request, ask Ask, f Facts, live map[ownline.ServiceID]uint16, offers []Offer, now time.Time) (picks []Pick) {
	taken := make(map[ownline.ServiceID]bool)
	for _, r := range requests {
		found := false
		for _, o := range offers {
			port, ok := r.suits(o, ask, f, live, now)
			if !ok {
				continue
			}
			found = true
			if !taken[o.Service.ID] {
				taken[o.Service.ID] = true
				picks = append(picks, Pick{Offer: o, Port: port})
			}
		}
		if !found {
			return nil
		}
	}
	if len(picks) == 0 {
		return nil
	}
	for _, o := range offers {
		if o.Service.Everybody && !taken[o.Service.ID] && fits(o.Service, ask.Source.Is4()) {
			picks = append(picks, Pick{Offer: o, Open: true})
		}
	}
	return picks
}

// suits reports whether a request is for a service, and the port to ask for.
func (r Request) suits(o Offer, ask Ask, f Facts, live map[ownline.ServiceID]uint16, now time.Time) (port uint16, ok bool) {
	transport := o.Service.Transport
	if o.Service.Kind == ownline.Proxy {
		transport = ownline.TCP
	}
	if r.Transport != transport || r.Name != "" && r.Name != o.Service.Name || r.Target.IsValid() && r.Target != o.Service.Target4 {
		return 0, false
	}
	if has := live[o.Service.ID]; has != 0 {
		return 0, has == r.Port
	}
	if r.Name != "" || r.Target.IsValid() {
		port = r.Port
	}
	ask.Port, f.Service, f.Grant = port, o.Service, o.Grant
	opening, err := Decide(ask, f, now)
	return port, err == nil && opening.PublicPort == r.Port
}
