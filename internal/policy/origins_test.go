package policy

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/ownline"
)

// A source has to pass every list that is set, and the first that refuses it is told.
func TestFrom(t *testing.T) {
	spain, nowhere := Origin{Country: "ES", ASN: 3352}, Origin{}
	a, office := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("203.0.113.9")
	const all = "PT ES AS12430 203.0.113.0/24"
	type lists struct{ web, site, grant, device ownline.Origins }
	for name, tc := range map[string]struct {
		l      lists
		source netip.Addr
		at     Origin
		list   string // "": let in
		says   string
	}{
		"no list":                    {lists{}, a, nowhere, "", ""},
		"its country":                {lists{web: all}, a, spain, "", ""},
		"its system":                 {lists{web: all}, a, Origin{Country: "FR", ASN: 12430}, "", ""},
		"its network":                {lists{web: all}, office, nowhere, "", ""},
		"its network, mapped":        {lists{web: all}, netip.AddrFrom16(office.As16()), nowhere, "", ""},
		"another country and system": {lists{web: all}, a, Origin{Country: "FR", ASN: 3215}, WebList, "198.51.100.7 (FR, AS3215) is refused by the policy in web.yaml"},
		"unknown":                    {lists{web: all}, a, nowhere, WebList, "198.51.100.7 is refused by the policy in web.yaml"},
		"unknown to countries alone": {lists{web: "ES"}, a, nowhere, WebList, "by the policy in web.yaml"},
		"unknown to systems alone":   {lists{web: "AS7"}, a, nowhere, WebList, "by the policy in web.yaml"},
		"country of no list":         {lists{web: "AS7"}, a, spain, WebList, "by the policy in web.yaml"},
		"the site's":                 {lists{web: "ES", site: "PT"}, a, spain, SiteList, "list of the site home"},
		"the grant's":                {lists{web: "ES", site: "ES", grant: "203.0.113.0/24"}, a, spain, GrantList, "list of the grant"},
		"the device's":               {lists{web: "ES", site: "ES", grant: "ES", device: "AS1"}, a, spain, DeviceList, "list of the device phone"},
		"all of them":                {lists{"ES", "AS3352", "198.51.100.0/24", "198.51.100.7/32"}, a, spain, "", ""},
		"a smaller network of IPv6":  {lists{device: "2a01:db8:7:1:1::/80"}, netip.MustParseAddr("2a01:db8:7:1:1::1"), nowhere, DeviceList, "list of the device phone"},
		"its network of IPv6":        {lists{device: "2a01:db8:7::/48"}, netip.MustParseAddr("2a01:db8:7:1:1::1"), nowhere, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := Facts{
				Limits: Limits{Origins: tc.l.web}, Site: ownline.Site{Name: "home", IPv6Prefix: 64, AllowedFrom: tc.l.site},
				Grant: ownline.Grant{AllowedFrom: tc.l.grant}, Device: ownline.Device{Name: "phone", AllowedFrom: tc.l.device},
			}
			err := From(Ask{Source: tc.source, Origin: tc.at}, f)
			if tc.list == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			by, ok := errors.AsType[*RefusedByError](err)
			if !ok || by.List != tc.list || !errors.Is(err, ownline.ErrForbidden) || !strings.HasSuffix(err.Error(), tc.says) {
				t.Errorf("got %v, want %q by the list of the %s", err, tc.says, tc.list)
			}
			free, offers := Anywhere(f, []Offer{{Grant: f.Grant}})
			free.Grant = offers[0].Grant
			if err := From(Ask{Source: tc.source, Origin: tc.at}, free); err != nil {
				t.Errorf("without the lists: %v", err)
			}
		})
	}
}
