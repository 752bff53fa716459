package reconcile

import (
	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/ownline"
)

// The book knows a session of a proxied service by its TCP port. Where the proxy speaks HTTP/3,
// the kernel holds a twin of it for UDP: opened, renewed, ended and counted with it. Core
// admits no other session to that UDP port.

// twin returns the key of the twin of a session to the proxy.
func twin(p firewall.Proxy, k firewall.Key) (firewall.Key, bool) {
	if !p.UDP || k.Transport != ownline.TCP || k.Port != p.Port {
		return k, false
	}
	k.Transport = ownline.UDP
	return k, true
}

// twinOf returns the twin of a forward, if it is one to the proxy.
func twinOf(p firewall.Proxy, f firewall.Forward) (firewall.Forward, bool) {
	k, ok := twin(p, f.Key)
	f.Key = k
	return f, ok && f.Target == p.Target(f.Source.Addr())
}

// withTwins adds the twins to what is put and dropped.
func withTwins(p firewall.Proxy, put []firewall.Forward, drop []firewall.Key) ([]firewall.Forward, []firewall.Key) {
	for _, f := range put {
		if t, ok := twinOf(p, f); ok {
			put = append(put, t)
		}
	}
	for _, k := range drop {
		if t, ok := twin(p, k); ok {
			drop = append(drop, t)
		}
	}
	return put, drop
}

// addTwins adds the twins to all that is wanted.
func addTwins(p firewall.Proxy, all map[firewall.Key]firewall.Forward) {
	if !p.UDP {
		return
	}
	var twins []firewall.Forward
	for _, f := range all {
		if t, ok := twinOf(p, f); ok {
			twins = append(twins, t)
		}
	}
	for _, t := range twins {
		all[t.Key] = t
	}
}

// countTwins adds what came through twins to what came through their sessions.
func countTwins(p firewall.Proxy, counters map[firewall.Key]ownline.Traffic) {
	for k, c := range counters {
		if t, ok := twin(p, k); ok {
			counters[k] = c.Add(counters[t])
		}
	}
}
