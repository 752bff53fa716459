package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/apiclient"
)

func TestDescribeCertificates(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	soon, past := now.Add(time.Hour), now
	for want, p := range map[string]*apiclient.SiteProxy{
		"-": {Driver: "none"}, "none yet": {Serves: true}, "valid until ": {Serves: true, Expires: &soon}, "EXPIRED at ": {Serves: true, Expires: &past},
	} {
		if got := describeCertificates(p, now); !strings.HasPrefix(got, want) {
			t.Errorf("%+v: %q, want %q", p, got, want)
		}
	}
	if got := describeCertificates(nil, now); got != "-" {
		t.Errorf("before core has told: %q", got)
	}
}

func TestCertificateLine(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	soon, past := now.Add(time.Hour), now.Add(-time.Hour)
	for want, c := range map[string]apiclient.BrokerCertificate{
		"It has no certificate, and nobody gets in: the router is off.":                         {Problem: "the router is off"},
		"It has no certificate, and nobody gets in: refused. The next try is in 1h00m (04:04).": {Problem: "refused", Next: &soon},
		"Its certificate expires in 1h00m (04:04).":                                             {Expires: &soon},
		"Its certificate expired 1h00m ago (02:04), and nobody gets in: not renewed.":           {Expires: &past, Problem: "not renewed"},
	} {
		if got := certificateLine(c, now); got != want {
			t.Errorf("%+v: %q, want %q", c, got, want)
		}
	}
}
