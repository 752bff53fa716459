package policy

import (
	"github.com/ownline/ownline/internal/ownline"
)

// Offer is a service with the grant by which a user has it.
type Offer struct {
	Service ownline.Service
	Grant   ownline.Grant
}

// Knocked selects what a knock of a user opens, of all that they may use at the site: the
// service it names, or everything automatic; and then what is for everybody. Nothing selected
// means that nothing is granted. A service that the source could not use is passed over,
// unless it is the one that was named: a forward of the other address family, and what is
// proxied where there is no proxy. The named one comes first.
func Knocked(named ownline.ServiceID, source4 bool, offers []Offer) []Offer {
	var out, open []Offer
	for _, o := range offers {
		switch fits := fits(o.Service, source4); {
		case o.Service.ID == named, named.IsZero() && o.Grant.Automatic && fits:
			out = append(out, o)
		case o.Service.Everybody && fits:
			open = append(open, o)
		}
	}
	if len(out) == 0 && !named.IsZero() {
		return nil
	}
	return append(out, open...)
}

func fits(s ownline.Service, source4 bool) bool {
	switch {
	case s.Kind == ownline.Proxy:
		return s.SiteProxy.Serves()
	case source4:
		return s.Target4.IsValid()
	}
	return s.Target6.IsValid()
}
