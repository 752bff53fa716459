package policy

import (
	"github.com/ownline/ownline/internal/ownline"
)

// Offer is a service with the grant by which a user has it.
type Offer struct {
	Service ownline.Service
	Grant   ownline.Grant
}

// Knocked selects what a knock of a user opens, of all that is granted to them at the site:
// the service it names, or everything automatic. Nothing selected means that nothing is
// granted. A service of the other address family than the source's is passed over, unless
// it is the one that was named.
func Knocked(named ownline.ServiceID, source4 bool, offers []Offer) []Offer {
	var out []Offer
	for _, o := range offers {
		hasFamily := o.Service.Target6.IsValid()
		if source4 {
			hasFamily = o.Service.Target4.IsValid()
		}
		if o.Service.ID == named || (named.IsZero() && o.Grant.Automatic && hasFamily) {
			out = append(out, o)
		}
	}
	return out
}
