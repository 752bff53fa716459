package cli

import (
	"testing"

	"github.com/ownline/ownline/internal/apiclient"
)

// What keeps a site from working comes before what it works without.
func TestSiteHealth(t *testing.T) {
	one, two := uint64(1), uint64(2)
	for want, s := range map[string]apiclient.Site{
		"good":                               {Connected: true, AppliedRevision: &two, WantedRevision: &two},
		"connected":                          {Connected: true}, // as people see it who are no admins
		"not connected":                      {FirewallLacks: "no filter"},
		"firewall: no table":                 {Connected: true, Firewall: "no table", FirewallLacks: "no filter"},
		"applying":                           {Connected: true, AppliedRevision: &one, WantedRevision: &two, FirewallLacks: "no filter"},
		"good, but for the filter of knocks": {Connected: true, AppliedRevision: &two, WantedRevision: &two, FirewallLacks: "no filter"},
	} {
		if got := health(s); got != want {
			t.Errorf("%+v is %q, want %q", s, got, want)
		}
	}
	if got := contact(apiclient.Site{Connected: true}); got != "-" {
		t.Errorf("who is not told of the last contact reads %q", got)
	}
	if got := contact(apiclient.Site{WantedRevision: &one}); got != "never" {
		t.Errorf("of a core that was never met an admin reads %q", got)
	}
}
