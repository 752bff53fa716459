package storetest

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/store"
)

// brokerCertificate keeps what the broker inside web shows.
func brokerCertificate(t *testing.T, s *store.Store) {
	t.Helper()
	got, err := s.BrokerCertificate(t.Context())
	if err != nil || !reflect.DeepEqual(got, ownline.BrokerCertificate{}) {
		t.Errorf("BrokerCertificate of a new database = %+v, %v", got, err)
	}
	want := ownline.BrokerCertificate{
		Name: "mqtt.home.example.org", Site: "home", Key: ownline.Secret("key"), Chain: "chain", Root: "root", Asking: T0, Failures: 2, Problem: "away", Tried: T0.Add(time.Second), Next: T0.Add(time.Minute),
	}
	for _, keep := range []bool{true, false} {
		must(t, s.ChangeBrokerCertificate(t.Context(), func(c *ownline.BrokerCertificate) bool {
			if keep {
				*c = want
			} else {
				c.Chain = "not kept"
			}
			return keep
		}))
		got, err := s.BrokerCertificate(t.Context())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("BrokerCertificate = %#v, %v; want %#v", got, err, want)
		}
	}
	if v, err := s.Setting(t.Context(), "broker.certificate"); err != nil || v == "" || strings.Contains(v, "chain") {
		t.Errorf("kept as %q, %v", v, err)
	}
}
