package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ownline/ownline/internal/ownline"
)

// Origin is where a source is, as far as anybody knows.
type Origin struct {
	Country string // ISO 3166-1 alpha-2; "": unknown
	ASN     uint32 // number of the autonomous system; 0: unknown
}

// The lists of origins, each of which a source has to pass if it is set.
const (
	WebList    = "web"
	SiteList   = "site"
	GrantList  = "grant"
	DeviceList = "device"
)

// RefusedByError tells that a source may not be where it is. It is an ErrForbidden about the field "source".
type RefusedByError struct {
	List string // which one says so
	err  error
}

// Error tells everything, so it is for those who may read the list.
func (e *RefusedByError) Error() string { return e.err.Error() }

// Unwrap returns the error about the field.
func (e *RefusedByError) Unwrap() error { return e.err }

// UnclaimedError tells that a knock does not name the address that it comes from, though the grant wants
// that. It is an ErrForbidden about the field "source".
type UnclaimedError struct{ err error }

// Error tells the address.
func (e *UnclaimedError) Error() string { return e.err.Error() }

// Unwrap returns the error about the field.
func (e *UnclaimedError) Unwrap() error { return e.err }

// From refuses sources that may not be where they are, whoever asks, and those that a knock has to name
// and does not.
func From(ask Ask, f Facts) error {
	for _, l := range []struct {
		name, called string
		origins      ownline.Origins
	}{
		{WebList, "policy in web.yaml", f.Limits.Origins},
		{SiteList, "list of the site " + f.Site.Name, f.Site.AllowedFrom},
		{GrantList, "list of the grant", f.Grant.AllowedFrom},
		{DeviceList, "list of the device " + f.Device.Name, f.Device.AllowedFrom},
	} {
		if l.origins == "" {
			continue
		}
		source, err := ownline.SourceOf(ask.Source, f.Site.IPv6Prefix)
		if err != nil {
			return err
		}
		if !l.origins.Allow(source, ask.Origin.Country, ask.Origin.ASN) {
			return &RefusedByError{l.name, ownline.Forbidden("source", fmt.Sprintf("%s is refused by the %s", ask.Origin.describe(ask.Source.Unmap()), l.called))}
		}
	}
	if ask.Unclaimed && f.Grant.RequireClaimedSource {
		return &UnclaimedError{ownline.Forbidden("source", fmt.Sprintf("%s is not named by the knock, as the grant requires", ask.Source.Unmap()))}
	}
	return nil
}

// Anywhere returns the facts and offers without what From looks at.
func Anywhere(f Facts, offers []Offer) (Facts, []Offer) {
	f.Limits.Origins, f.Site.AllowedFrom, f.Grant.AllowedFrom, f.Device.AllowedFrom = "", "", "", ""
	f.Grant.RequireClaimedSource = false
	offers = slices.Clone(offers)
	for i := range offers {
		offers[i].Grant.AllowedFrom, offers[i].Grant.RequireClaimedSource = "", false
	}
	return f, offers
}

func (at Origin) describe(source netip.Addr) string {
	var known []string
	if at.Country != "" {
		known = append(known, at.Country)
	}
	if at.ASN != 0 {
		known = append(known, fmt.Sprintf("AS%d", at.ASN))
	}
	if len(known) == 0 {
		return source.String()
	}
	return fmt.Sprintf("%s (%s)", source, strings.Join(known, ", "))
}
