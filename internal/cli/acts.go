package cli

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/apiclient"
)

// apart is how far apart the two sessions of an act may be opened, or end.
const apart = 30 * time.Second

// act is what people see as one session, here as in the app: a session, or the two that a device's
// knock by IPv4 and IPv6 has opened. Those go by the ID of the first, end with the one that ends first,
// and have the traffic of both.
type act struct {
	apiclient.Session
	parts []apiclient.Session // never none
}

// sources are the addresses that it lets in.
func (a act) sources() string {
	all := make([]string, len(a.parts))
	for i, s := range a.parts {
		all[i] = s.Source
	}
	return strings.Join(all, ", ")
}

func isIPv6(s apiclient.Session) bool { return strings.Contains(s.Source, ":") }

// alike reports whether two sessions have in common what those of one act do. One without a device is
// an act by itself: a browser comes from one address, and who opens for another may open for somebody else.
func alike(s, t apiclient.Session) bool {
	return s.User == t.User && s.Device == t.Device && s.Service == t.Service && s.Transport == t.Transport &&
		s.PublicPort == t.PublicPort && s.Reason == t.Reason
}

// near reports whether they were opened at one time, or end at one: a later knock opens a new session for
// the address that changed, and renews the other to the same end.
func near(s, t apiclient.Session) bool {
	return min(s.Opened.Sub(t.Opened).Abs(), s.Expires.Sub(t.Expires).Abs()) <= apart
}

func merge(four, six apiclient.Session) act {
	a := act{four, []apiclient.Session{four, six}}
	if six.State == "active" {
		a.State = six.State // it can be used as soon as one of them can
	}
	if six.Expires.Before(four.Expires) {
		a.Expires = six.Expires
	}
	a.Traffic.UpBytes += six.Traffic.UpBytes
	a.Traffic.UpPackets += six.Traffic.UpPackets
	a.Traffic.DownBytes += six.Traffic.DownBytes
	a.Traffic.DownPackets += six.Traffic.DownPackets
	return a
}

// actsOf returns sessions as people see them, each where the first of it stands: those that are open, or
// those that have ended.
func actsOf(sessions []apiclient.Session) []act {
	// The newest first: the address that a device has left ends by itself.
	newest := slices.SortedStableFunc(slices.Values(sessions), func(s, t apiclient.Session) int { return t.Opened.Compare(s.Opened) })
	acts := make(map[string]act, len(sessions)) // by the IDs of their parts
	for _, four := range newest {
		if four.Device == "" || isIPv6(four) {
			continue
		}
		var sixes []apiclient.Session
		for _, s := range newest {
			if _, taken := acts[s.ID]; s.Device != "" && isIPv6(s) && !taken && alike(s, four) && near(s, four) {
				sixes = append(sixes, s)
			}
		}
		if len(sixes) == 0 {
			continue
		}
		six := slices.MinFunc(sixes, func(s, t apiclient.Session) int {
			return cmp.Compare(s.Expires.Sub(four.Expires).Abs(), t.Expires.Sub(four.Expires).Abs())
		})
		both := merge(four, six)
		acts[four.ID], acts[six.ID] = both, both
	}
	var out []act
	told := make(map[string]bool, len(sessions))
	for _, s := range sessions {
		a, ok := acts[s.ID]
		if !ok {
			a = act{s, []apiclient.Session{s}}
		}
		if !told[a.ID] {
			told[a.ID] = true
			out = append(out, a)
		}
	}
	return out
}
