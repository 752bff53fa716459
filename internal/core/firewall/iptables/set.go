package iptables

import (
	"strconv"
	"strings"
	"time"
)

// set names the ipset that holds a session while it is live, as packets of a table show it:
// in nat by source and public port, in mangle by target and source.
func (s session) set(table string) string {
	name := prefix + table
	if s.Source.Addr().Is4() {
		return name + "4"
	}
	return name + "6"
}

// element is the session's in that set.
func (s session) element(table string) string {
	if table == nat {
		return s.Source.String() + "," + string(s.Transport) + ":" + port(s.Port)
	}
	return s.Target.Addr().String() + "," + string(s.Transport) + ":" + port(s.Target.Port()) + "," + s.Source.String()
}

// longest is what an ipset may keep an element, in seconds.
const longest = 2147483

// elements is what ipset is told for sessions: the sets, and how long each element stays. In
// mangle two sessions that differ in the public port only share one, which ends with the last.
func elements(all []session, now time.Time) string {
	var b strings.Builder
	for _, family := range []struct{ digit, name string }{{"4", "inet"}, {"6", "inet6"}} {
		b.WriteString("create " + prefix + nat + family.digit + " hash:net,port family " + family.name + " timeout 0\n")
		b.WriteString("create " + prefix + mangle + family.digit + " hash:ip,port,net family " + family.name + " timeout 0\n")
	}
	last := map[string]int64{}
	for _, s := range all {
		left := min(int64((s.Until.Sub(now)+time.Second-1)/time.Second), longest)
		if left <= 0 {
			continue
		}
		for _, table := range []string{nat, mangle} {
			line := "add " + s.set(table) + " " + s.element(table)
			last[line] = max(last[line], left)
		}
	}
	for line, left := range last {
		b.WriteString(line + " timeout " + strconv.FormatInt(left, 10) + "\n")
	}
	return b.String()
}
