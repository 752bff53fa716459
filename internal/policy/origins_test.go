package policy

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/ownline"
)

func TestOrigins(t *testing.T) {
	spain, nowhere := Origin{Country: "ES", ASN: 3352}, Origin{}
	a, office := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("203.0.113.9")
	all := Origins{Countries: []string{"PT", "ES"}, ASNs: []uint32{12430}, Networks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}
	for name, tc := range map[string]struct {
		o      Origins
		source netip.Addr
		at     Origin
		says   string // "": let in
	}{
		"no policy":                  {Origins{}, a, nowhere, ""},
		"its country":                {all, a, spain, ""},
		"its system":                 {all, a, Origin{Country: "FR", ASN: 12430}, ""},
		"its network":                {all, office, nowhere, ""},
		"its network, mapped":        {all, netip.AddrFrom16(office.As16()), nowhere, ""},
		"another country and system": {all, a, Origin{Country: "FR", ASN: 3215}, "198.51.100.7 (FR, AS3215) is refused by the policy in web.yaml, which lets in PT, ES, AS12430 and 203.0.113.0/24 only"},
		"unknown":                    {all, a, nowhere, "198.51.100.7 is refused"},
		"unknown to countries alone": {Origins{Countries: []string{"ES"}}, a, nowhere, "lets in ES only"},
		"unknown to systems alone":   {Origins{ASNs: []uint32{7}}, a, nowhere, "lets in AS7 only"},
		"country of no list":         {Origins{ASNs: []uint32{7}}, a, spain, "lets in AS7 only"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.o.Check(tc.source, tc.at, "policy in web.yaml")
			if tc.says == "" && err != nil || tc.says != "" && (!errors.Is(err, ownline.ErrForbidden) || !strings.Contains(err.Error(), tc.says)) {
				t.Errorf("got %v, want %q", err, tc.says)
			}
		})
	}
}
