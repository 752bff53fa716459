package cli

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/ownline"
)

var noon = time.Date(2030, 5, 3, 12, 0, 0, 0, time.UTC)

func byKnock(id, source string, change func(*apiclient.Session)) apiclient.Session {
	s := apiclient.Session{
		ID: id, User: "ana", Device: "phone", Service: "photos", Source: source, PublicPort: 20443, Transport: "tcp", State: "active",
		Opened: noon.Add(-10 * time.Minute), Expires: noon.Add(20 * time.Minute),
		Traffic: ownline.Traffic{UpBytes: 1, UpPackets: 2, DownBytes: 3, DownPackets: 4},
	}
	if change != nil {
		change(&s)
	}
	return s
}

func four(change func(*apiclient.Session)) apiclient.Session {
	return byKnock("four", "203.0.113.24/32", change)
}

// six is opened a second later, and ends a second later.
func six(change func(*apiclient.Session)) apiclient.Session {
	return byKnock("six", "2001:db8:7:1::/64", func(s *apiclient.Session) {
		s.Opened, s.Expires = s.Opened.Add(time.Second), s.Expires.Add(time.Second)
		if change != nil {
			change(s)
		}
	})
}

func idsOf(sessions ...apiclient.Session) string {
	var all []string
	for _, a := range actsOf(sessions) {
		var ids []string
		for _, s := range a.parts {
			ids = append(ids, s.ID)
		}
		all = append(all, strings.Join(ids, "+"))
	}
	return fmt.Sprint(all)
}

func TestActs(t *testing.T) {
	later := func(s *apiclient.Session) {
		s.Opened, s.Expires = noon.Add(-560*time.Second), noon.Add(1300*time.Second)
	}
	justNow := func(s *apiclient.Session) { s.Opened = noon.Add(-time.Second) }
	left := func(s *apiclient.Session) { s.ID, s.Expires = "left", noon.Add(50*time.Second) }
	for name, tc := range map[string]struct {
		sessions []apiclient.Session
		want     string
	}{
		"one knock":                       {[]apiclient.Session{four(nil), six(nil)}, "[four+six]"},
		"the other way around":            {[]apiclient.Session{six(nil), four(nil)}, "[four+six]"},
		"one was opened anew":             {[]apiclient.Session{four(justNow), six(nil)}, "[four+six]"},
		"one was extended":                {[]apiclient.Session{four(nil), six(func(s *apiclient.Session) { s.Expires = noon.Add(time.Hour) })}, "[four+six]"},
		"the device has moved":            {[]apiclient.Session{four(left), four(justNow), six(nil)}, "[left four+six]"},
		"the device has moved, by IPv6":   {[]apiclient.Session{six(left), six(justNow), four(nil)}, "[left four+six]"},
		"two persons":                     {[]apiclient.Session{four(nil), six(func(s *apiclient.Session) { s.User = "marc" })}, "[four six]"},
		"two devices":                     {[]apiclient.Session{four(nil), six(func(s *apiclient.Session) { s.Device = "laptop" })}, "[four six]"},
		"two services":                    {[]apiclient.Session{four(nil), six(func(s *apiclient.Session) { s.Service = "wiki" })}, "[four six]"},
		"two ports":                       {[]apiclient.Session{four(nil), six(func(s *apiclient.Session) { s.PublicPort++ })}, "[four six]"},
		"two protocols":                   {[]apiclient.Session{four(nil), six(func(s *apiclient.Session) { s.Transport = "udp" })}, "[four six]"},
		"one family":                      {[]apiclient.Session{four(nil), six(func(s *apiclient.Session) { s.Source = "198.51.100.7/32" })}, "[four six]"},
		"two times":                       {[]apiclient.Session{four(nil), six(later)}, "[four six]"},
		"two reasons":                     {[]apiclient.Session{four(nil), six(func(s *apiclient.Session) { s.Reason = "closed" })}, "[four six]"},
		"by hand":                         {[]apiclient.Session{four(func(s *apiclient.Session) { s.Device = "" }), six(func(s *apiclient.Session) { s.Device = "" })}, "[four six]"},
		"by hand, and the other by knock": {[]apiclient.Session{four(func(s *apiclient.Session) { s.Device = "" }), six(nil)}, "[four six]"},
		"two knocks": {
			[]apiclient.Session{four(nil), four(func(s *apiclient.Session) { s.ID = "four2"; later(s) }), six(func(s *apiclient.Session) { s.ID = "six2"; later(s) }), six(nil)},
			"[four+six four2+six2]",
		},
		"none": {nil, "[]"},
	} {
		if got := idsOf(tc.sessions...); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}

	opening := func(s *apiclient.Session) { s.State = "opening" }
	a := actsOf([]apiclient.Session{six(nil), four(opening)})[0]
	if a.ID != "four" || a.State != "active" || !a.Expires.Equal(four(nil).Expires) || a.sources() != "203.0.113.24/32, 2001:db8:7:1::/64" ||
		a.Traffic != (ownline.Traffic{UpBytes: 2, UpPackets: 4, DownBytes: 6, DownPackets: 8}) {
		t.Errorf("%+v", a)
	}
	if a := actsOf([]apiclient.Session{four(opening), six(opening)})[0]; a.State != "opening" {
		t.Errorf("%+v", a)
	}
	sessions := []apiclient.Session{six(nil), four(nil)}
	before := slices.Clone(sessions)
	actsOf(sessions)
	if fmt.Sprint(before) != fmt.Sprint(sessions) {
		t.Error("it has changed its argument")
	}
}
