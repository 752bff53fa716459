package ownline

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestServiceNames(t *testing.T) {
	for _, good := range []string{"nas", "a", "2fa", "home-assistant", strings.Repeat("a", 63)} {
		if err := CheckServiceName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	bad := []string{
		"", "-a", "a-", "A", "a.b", "a b", "a_b", "a;}", "../x", `"`, "'", "a\nb", "a\x00", "$host", "ä", strings.Repeat("a", 64), strings.Repeat("a", 300),
	}
	for _, s := range bad {
		if err := CheckServiceName(s); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// Invariant 10: nothing gets into another program's configuration that could mean more there
// than what it says.
func TestProxyOptions(t *testing.T) {
	good := []ProxyOptions{
		{},
		{Scheme: "http", PathPrefix: "/app/v1.2", Headers: map[string]string{"X-Script-Name": "/app; a=1"}},
		{Scheme: "https", ServerName: "nas.lan", Pin: strings.Repeat("ab", 32)},
		{Scheme: "h2c", RequireLogin: true},
	}
	for _, o := range good {
		if err := o.Validate(); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for field, bad := range map[string][]ProxyOptions{
		"options.scheme":      {{Scheme: "ftp"}, {Scheme: "HTTP"}, {Pin: strings.Repeat("ab", 32)}},
		"options.path_prefix": {{PathPrefix: "app"}, {PathPrefix: "/"}, {PathPrefix: "/a/"}, {PathPrefix: "/a//b"}, {PathPrefix: "/../b"}, {PathPrefix: "/a;b"}, {PathPrefix: "/a b"}, {PathPrefix: "/a\n"}, {PathPrefix: "/" + strings.Repeat("a", 300)}},
		"options.headers": {
			{Headers: map[string]string{"": "x"}},
			{Headers: map[string]string{"a b": "x"}},
			{Headers: map[string]string{"a_b": "x"}},
			{Headers: map[string]string{"Host": "x"}},
			{Headers: map[string]string{"X-A": "1", "x-a": "2"}},
			{Headers: map[string]string{"X-Forwarded-For": "x"}},
			{Headers: map[string]string{"Upgrade": "x"}},
			{Headers: map[string]string{"A": "x\r\nB: y"}},
			{Headers: map[string]string{"A": "x\x00"}},
			{Headers: map[string]string{"A": strings.Repeat("x", 5000)}},
		},
		"options.ca":          {{Scheme: "https", CA: "no"}, {Scheme: "https", CA: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}},
		"options.pin":         {{Scheme: "https", Pin: "ab"}, {Scheme: "https", Pin: strings.Repeat("zz", 32)}},
		"options.server_name": {{Scheme: "https", ServerName: "a b"}, {Scheme: "https", ServerName: "nas:443"}, {Scheme: "https", ServerName: "a..b"}},
		"options.template":    {{Template: "a\x00b"}, {Template: strings.Repeat("a", 20000)}},
	} {
		for _, o := range bad {
			var fe *FieldError
			if err := o.Validate(); !errors.As(err, &fe) || fe.Kind != ErrInvalid || fe.Field != field {
				t.Errorf("%.100s: %v, want a mistake of %s", fmt.Sprintf("%+v", o), err, field)
			}
		}
	}
}
