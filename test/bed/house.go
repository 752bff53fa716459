package bed

import "net/netip"

// House is a home of the other kind, beside the one that has a Router: the provider's router is a
// closed box, and one host of the LAN runs what is to be tried.
//
//	internet ─ wan0 provider lan0 ─┬─ box
//	                               ├─ nas
//	                               └─ tablet
//
// The provider's router forwards packets and, until a test says otherwise, does nothing else. The hosts
// of the LAN are neighbours, and their default routes lead to it. Over IPv6 the internet knows them by
// addresses of LAN6; by those of Private6 they know each other.
type House struct {
	Provider *Host // IPv4 and IPv6 are those of wan0; the second of each list is that of lan0
	Box      *Host
	NAS      *Host
	Tablet   *Host

	LAN4, LAN6, Private6 netip.Prefix
}

// AddHouse adds a house to the internet of a bed.
func (b *Bed) AddHouse() (*House, error) {
	h := &House{LAN4: netip.MustParsePrefix("192.168.8.0/24"), LAN6: netip.MustParsePrefix("2001:db8:8:2::/64"), Private6: netip.MustParsePrefix("fd00:8::/64")}
	var err error
	if h.Provider, err = b.AddHost("provider", true); err != nil {
		return nil, err
	}
	up := uplink("provider", "wan0", prefixes("192.0.2.129/25", "2001:db8:8:1::1/64"), prefixes("192.0.2.130/25", "2001:db8:8:1::2/64"))
	if err := b.Internet.Plug(up.near.link, up.near.addrs, h.Provider, up.far.link, up.far.addrs, up.far.gateway...); err != nil {
		return nil, err
	}
	if err := b.Internet.AddRoute(h.LAN6, h.Provider.IPv6); err != nil {
		return nil, err
	}
	var ports []string
	lan := func(name string, forwards bool, number string) (*Host, error) {
		ports = append(ports, name)
		l, err := b.AddHost(name, forwards)
		if err != nil {
			return nil, err
		}
		return l, h.Provider.Plug(name, nil, l, "eth0", prefixes("192.168.8."+number+"/24", "2001:db8:8:2::"+number+"/64", "fd00:8::"+number+"/64"), addrs("192.168.8.1", "2001:db8:8:2::1")...)
	}
	if h.Box, err = lan("box", true, "2"); err != nil {
		return nil, err
	}
	if h.NAS, err = lan("nas", false, "10"); err != nil {
		return nil, err
	}
	if h.Tablet, err = lan("tablet", false, "20"); err != nil {
		return nil, err
	}
	return h, h.Provider.Switch("lan0", prefixes("192.168.8.1/24", "2001:db8:8:2::1/64", "fd00:8::1/64"), ports...)
}
