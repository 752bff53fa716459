package bed

import "net/netip"

// plan is the world as values. The public networks are those set aside for documentation
// (RFC 5737, RFC 3849), so no packet of a bed can be mistaken for a real one.
type plan struct {
	cables     []cable
	lan4, lan6 netip.Prefix
	lanRoute   bool
}

// cable joins two hosts.
type cable struct {
	near, far end
}

// end is one end of a cable: an interface with its addresses.
type end struct {
	host    string
	link    string
	addrs   []netip.Prefix
	gateway []netip.Addr // default routes through the other end
}

const (
	internetName = "internet"
	client1Name  = "client1"
	client2Name  = "client2"
	strangerName = "stranger"
	routerName   = "router"
	lanName      = "lan"
)

func hostNames() []string {
	return []string{internetName, client1Name, client2Name, strangerName, routerName, lanName}
}

// forwards says which hosts pass on packets that are not for them.
func forwards(host string) bool { return host == internetName || host == routerName }

func newPlan() plan {
	return plan{
		lanRoute: true,
		lan4:     netip.MustParsePrefix("192.168.7.0/24"),
		lan6:     netip.MustParsePrefix("fd00:7::/64"),
		cables: []cable{
			uplink(client1Name, "eth0",
				prefixes("198.51.100.1/25", "2001:db8:1:1::1/64", "2001:db8:1:2::1/64"),
				prefixes("198.51.100.10/25", "198.51.100.11/25",
					"2001:db8:1:1::10/64", "2001:db8:1:1::11/64", "2001:db8:1:2::10/64")),
			uplink(client2Name, "eth0",
				prefixes("198.51.100.129/25", "2001:db8:2:1::1/64"),
				prefixes("198.51.100.130/25", "2001:db8:2:1::10/64", "2001:db8:2:1::11/64")),
			uplink(strangerName, "eth0",
				prefixes("192.0.2.1/25", "2001:db8:3:1::1/64"),
				prefixes("192.0.2.10/25", "2001:db8:3:1::10/64", "2001:db8:3:1::11/64")),
			uplink(routerName, "wan0",
				prefixes("203.0.113.1/24", "2001:db8:7:1::1/64"),
				prefixes("203.0.113.2/24", "2001:db8:7:1::2/64")),
			{
				near: end{host: routerName, link: "lan0", addrs: prefixes("192.168.7.1/24", "fd00:7::1/64")},
				far: end{
					host: lanName, link: "eth0",
					addrs: prefixes("192.168.7.10/24", "192.168.7.11/24", "192.168.7.12/24",
						"fd00:7::10/64", "fd00:7::11/64", "fd00:7::12/64"),
					gateway: addrs("192.168.7.1", "fd00:7::1"),
				},
			},
		},
	}
}

// uplink is a cable from the internet, where its interface has the name of the host, to a
// host whose default routes go back through the first address of each family.
func uplink(host, link string, near, far []netip.Prefix) cable {
	return cable{
		near: end{host: internetName, link: host, addrs: near},
		far: end{
			host: host, link: link, addrs: far,
			gateway: []netip.Addr{near[0].Addr(), near[1].Addr()},
		},
	}
}

func prefixes(s ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(s))
	for i, p := range s {
		out[i] = netip.MustParsePrefix(p)
	}
	return out
}

func addrs(s ...string) []netip.Addr {
	out := make([]netip.Addr, len(s))
	for i, a := range s {
		out[i] = netip.MustParseAddr(a)
	}
	return out
}
