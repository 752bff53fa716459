package access

import (
	"reflect"
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/ownline"
)

// Every option leaves a trace in the audit log when it changes, and no secret does.
func TestDescribeOptions(t *testing.T) {
	const secret = "hunter2"
	full := ownline.ProxyOptions{
		Scheme: ownline.SchemeHTTPS, PathPrefix: "/app", Headers: map[string]string{"Authorization": secret}, CA: secret, Pin: "ab", ServerName: "nas.lan",
		RequireLogin: true, Template: secret,
	}
	none := ownline.ProxyOptions{}
	for i := range reflect.TypeFor[ownline.ProxyOptions]().NumField() {
		name := reflect.TypeFor[ownline.ProxyOptions]().Field(i).Name
		if reflect.ValueOf(full).Field(i).IsZero() {
			t.Fatalf("the test sets no %s", name)
		}
		if name == "Scheme" {
			continue // told with the target
		}
		for _, from := range []ownline.ProxyOptions{none, full} {
			to := from
			other := reflect.ValueOf(none).Field(i)
			if from.Pin == "" {
				other = reflect.ValueOf(full).Field(i)
			}
			reflect.ValueOf(&to).Elem().Field(i).Set(other)
			if got := describeOptions(from, to); got == "" || strings.Contains(got, secret) {
				t.Errorf("%s changed: %q", name, got)
			}
		}
	}
	if got := describeOptions(full, full); got != "" {
		t.Errorf("nothing changed: %q", got)
	}
	changed := full
	changed.RequireLogin, changed.PathPrefix, changed.Template = false, "", "another"
	changed.Headers = map[string]string{"Authorization": "another", "X-A": secret}
	const want = "require_login on -> off, path_prefix /app -> none, template changed, header Authorization changed, header X-A set"
	if got := describeOptions(full, changed); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
