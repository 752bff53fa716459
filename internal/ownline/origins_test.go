package ownline_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/ownline"
)

func TestParseOrigins(t *testing.T) {
	for in, want := range map[string]string{
		"":                                   "",
		"es pt ES":                           "ES PT",
		"AS as3352 AS3352":                   "AS AS3352", // American Samoa, and a provider
		"198.51.100.7 198.51.100.9/24":       "198.51.100.7/32 198.51.100.0/24",
		"2a01:db8:7::/48 2a01:db8:7:1::5/64": "2a01:db8:7::/48 2a01:db8:7:1::/64",
	} {
		o, err := ownline.ParseOrigins("allowed_from", strings.Fields(in), 64)
		if err != nil || string(o) != want || !slices.Equal(o.Words(), strings.Fields(want)) {
			t.Errorf("%q is %q, %v, want %q", in, o, err, want)
		}
	}
	for _, bad := range []string{"E", "ESP", "AS0", "AS-1", "AS+1", "AS4294967296", "3352", "198.51.100", "198.51.100.0/33", "fe80::1%eth0", "::ffff:198.51.100.0/120", "2a01:db8:7:1:1::/80", "2a01:db8:7:1::5", "2a01:db8:7:1::5/128", "::ffff:198.51.100.7", "ES,PT", ""} {
		o, err := ownline.ParseOrigins("allowed_from", []string{"ES", bad}, 64)
		if fe, ok := errors.AsType[*ownline.FieldError](err); o != "" || !ok || fe.Field != "allowed_from" || !errors.Is(err, ownline.ErrInvalid) {
			t.Errorf("%q is %q, %v", bad, o, err)
		}
	}
	for bad, want := range map[string]string{ // hints are about what was written
		"::ffff:203.0.113.9/120": "; write it as 203.0.113.0/24", "::ffff:203.0.113.9": "; write it as 203.0.113.9/32",
		"::ffff:203.0.113.9/24": "; write it as 203.0.113.0/24", "::ffff:203.0.113.9/64": "; write it as 203.0.113.9/32",
		"2a01:db8:7:1::5": ", like 2a01:db8:7:1::/64", "2a01:db8:7:1:1::/80": ", like 2a01:db8:7:1::/64", " ": "allowed_from: has an empty entry",
	} {
		if _, err := ownline.ParseOrigins("allowed_from", []string{bad}, 64); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q: %v, want …%s", bad, err, want)
		}
	}
	if o, err := ownline.ParseOrigins("allowed_from", []string{"2a01:db8:7:1::5"}, 128); err != nil || o != "2a01:db8:7:1::5/128" {
		t.Errorf("where a session lets in one address: %q, %v", o, err)
	}
	if _, err := ownline.ParseOrigins("allowed_from", make([]string, ownline.MostOrigins+1), 64); err == nil || !strings.Contains(err.Error(), "201") {
		t.Error(err)
	}
}
