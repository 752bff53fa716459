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
