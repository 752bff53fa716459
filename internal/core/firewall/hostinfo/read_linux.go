package hostinfo

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path"
	"slices"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/ownline"
)

// Read looks at the network namespace of the process. wan names the interfaces that face
// the internet ("ppp*": all that begin so); the LAN's are told from them as facing says.
func Read(wan []string) (Host, error) {
	var h Host
	interfaces, err := net.Interfaces()
	if err != nil {
		return Host{}, fmt.Errorf("list interfaces: %w", err)
	}
	uplinks, err := Uplinks()
	if err != nil {
		return Host{}, err
	}
	f := facing{wan: wan, named: slices.ContainsFunc(interfaces, func(i net.Interface) bool { return Matches(wan, i.Name) }), uplinks: uplinks}
	h.Misnamed = len(wan) > 0 && !f.named
	for _, i := range interfaces {
		addrs, err := i.Addrs()
		if err != nil {
			continue // gone since
		}
		for _, a := range addrs {
			p, err := netip.ParsePrefix(a.String())
			if err != nil {
				continue
			}
			h.Own = append(h.Own, p.Addr())
			if i.Flags&net.FlagLoopback == 0 && f.inside(i.Name, p.Addr()) {
				h.LAN = append(h.LAN, Address{p.Addr(), p.Masked(), i.Name})
			}
		}
	}
	if h.Gateways, err = gateways("/proc/net"); err != nil {
		return Host{}, err
	}
	h.Served, err = served("/proc/net")
	return h, err
}

// gateways reads the tables of routes (proc_net(5)).
func gateways(proc string) (out []netip.Addr, err error) {
	add := func(a netip.Addr) { out = append(out, a) }
	err = errors.Join(
		read(proc, "route", func(r io.Reader) error { return parseRoutes4(r, add) }),
		read(proc, "ipv6_route", func(r io.Reader) error { return parseRoutes6(r, add) }))
	return out, err
}

// Uplinks returns the interfaces of default routes.
func Uplinks() (out []Uplink, err error) {
	add := func(u Uplink) { out = append(out, u) }
	err = errors.Join(
		read("/proc/net", "route", func(r io.Reader) error { return parseUplinks4(r, add) }),
		read("/proc/net", "ipv6_route", func(r io.Reader) error { return parseUplinks6(r, add) }))
	return out, err
}

func served(proc string) ([]firewall.Port, error) {
	seen := map[firewall.Port]bool{}
	for file, t := range map[string]ownline.Transport{"tcp": ownline.TCP, "tcp6": ownline.TCP, "udp": ownline.UDP, "udp6": ownline.UDP} {
		err := read(proc, file, func(r io.Reader) error {
			return parseSockets(r, t, func(n uint16) { seen[firewall.Port{Transport: t, Number: n}] = true })
		})
		if err != nil {
			return nil, err
		}
	}
	out := make([]firewall.Port, 0, len(seen))
	for p := range seen {
		out = append(out, p)
	}
	return out, nil
}

// read reads a file of /proc/net of this thread's namespace; a kernel without IPv6 has no
// files for it.
func read(proc, file string, parse func(io.Reader) error) error {
	f, err := os.Open(path.Join(proc, file))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		defer f.Close()
		err = parse(f)
	}
	if err != nil {
		return fmt.Errorf("read what the router serves: %w", err)
	}
	return nil
}
