package twin

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall/netlink"
)

// patience is how long a packet may take through the copy. Nothing there takes time; only a busy machine does.
const patience = time.Second

// blink is how soon it is seen that nobody waits for it any more.
const blink = patience / 10

// router is what is copied of one besides rules.
type router struct {
	links    []link
	settings map[string]string // of /proc/sys
}

type link struct {
	name  string
	index int
	addrs []netip.Prefix

	loopback bool // every namespace has one
}

// Try sends a packet along every way through a copy of the router of the calling thread's network namespace. legacy
// are the rules of iptables-legacy there, of IPv4 and IPv6, as its iptables-save prints them. An error says
// that it can't be tried.
func Try(ctx context.Context, legacy [2]string, ways []Way) ([]Outcome, error) {
	r, err := look()
	if err != nil {
		return nil, err
	}
	return r.try(ctx, legacy, ways)
}

func (r *router) try(ctx context.Context, legacy [2]string, ways []Way) ([]Outcome, error) {
	var rules ruleset
	if err := rules.read(); err != nil {
		return nil, fmt.Errorf("the rules can't be read: %w", err)
	}
	if rules.ipset || asks(legacy, "-m set") || asks(legacy, "-j SET") {
		return nil, errors.New("rules of iptables ask for an ipset (-m set), and ipsets can't be copied")
	}
	out, targets, err := r.leads(ways)
	if err != nil {
		return nil, err
	}
	for i := range ways {
		switch w := &ways[i]; {
		case w.Knock:
			rules.knocked(w)
		case w.Pretends:
			rules.pretend(w)
		}
	}
	rules.traced()
	done := make(chan error, 1)
	go func() {
		// The thread is never let go, so that it ends with this function, and the namespace with it.
		runtime.LockOSThread()
		done <- func() error {
			t, err := r.copy(&rules)
			if err != nil {
				return err
			}
			defer t.close()
			err = t.passAll(ctx, legacy, ways, targets, out)
			for i := range out {
				o := &out[i]
				numbers := rules.numbers && t.renumbered
				o.Unsure = rules.lacks || numbers || asksOfLegacy(legacy)
				if o.Back && numbers {
					o.Back, o.Err = false, errors.New("rules ask for the numbers of interfaces, and the copy can't have all of them")
				}
			}
			return err
		}()
	}()
	if err := <-done; err != nil {
		return nil, err
	}
	return out, nil
}

// look reads what is copied.
func look() (*router, error) {
	r := &router{settings: map[string]string{}}
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	files := []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", "net/netfilter/nf_conntrack_tcp_loose", "net/netfilter/nf_conntrack_tcp_be_liberal"}
	for _, i := range all {
		l := link{name: i.Name, index: i.Index, loopback: i.Flags&net.FlagLoopback != 0}
		addrs, _ := i.Addrs() // it may be gone
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && !p.Addr().IsLinkLocalUnicast() && !p.Addr().IsLoopback() {
				l.addrs = append(l.addrs, p)
			}
		}
		r.links = append(r.links, l)
	}
	for _, f := range files {
		if b, err := os.ReadFile(filepath.Join("/proc/sys", f)); err == nil {
			r.settings[f] = strings.TrimSpace(string(b))
		}
	}
	return r, nil
}

// leads finds the interfaces by which the router sends to the targets of ways. The outcome of a way without has an
// error. Of all that have no address, the copy gets those and the ones that ways come by.
func (r *router) leads(ways []Way) (out []Outcome, targets []string, err error) {
	c, err := netlink.Dial(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, nil, err
	}
	defer c.Close()
	out, targets = make([]Outcome, len(ways)), make([]string, len(ways))
	needs := map[string]bool{}
	for i := range ways {
		if ways[i].Knock {
			needs[ways[i].In] = true
			continue
		}
		kind, by, err := c.Route(0, netip.Addr{}, ways[i].Target.Addr())
		at := slices.IndexFunc(r.links, func(l link) bool { return l.index == by })
		if err != nil || kind != unix.RTN_UNICAST || at < 0 {
			out[i].Err = errors.Join(fmt.Errorf("no route leads to %s", ways[i].Target.Addr()), err)
			continue
		}
		targets[i] = r.links[at].name
		needs[targets[i]], needs[ways[i].In] = true, true
	}
	r.links = slices.DeleteFunc(r.links, func(l link) bool { return len(l.addrs) == 0 && !needs[l.name] })
	return out, targets, nil
}

// twin is a copy, whose interfaces' far ends we hold.
type twin struct {
	*router
	ends  map[string]int // the interfaces
	route *netlink.Conn
	trace *trace

	renumbered bool // some interface has another number than in the router
}

func (t *twin) close() {
	for _, fd := range t.ends {
		unix.Close(fd)
	}
	if t.route != nil {
		t.route.Close()
	}
	if t.trace != nil {
		unix.Close(t.trace.fd)
	}
}

// copy makes a network namespace for the calling thread, and the copy in it.
func (r *router) copy(rules *ruleset) (_ *twin, err error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, os.NewSyscallError("make a network namespace", err)
	}
	t := &twin{router: r, ends: map[string]int{}}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	if t.route, err = netlink.Dial(unix.NETLINK_ROUTE); err != nil {
		return nil, err
	}
	if t.trace, err = listen(); err != nil {
		return nil, err
	}
	if err := t.up("lo"); err != nil {
		return nil, err
	}
	for i := range r.links {
		if err := t.plug(&r.links[i]); err != nil {
			return nil, fmt.Errorf("interface %s: %w", r.links[i].name, err)
		}
	}
	for _, l := range r.links {
		for _, a := range l.addrs {
			if err := t.settle(a.Addr()); err != nil {
				return nil, fmt.Errorf("address %s: %w", a.Addr(), err)
			}
		}
	}
	if err := rules.write(); err != nil {
		return nil, err
	}
	for file, value := range r.settings { // some are there with the rules
		if err := os.WriteFile(filepath.Join("/proc/sys", file), []byte(value), 0o644); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	return t, nil
}

// plug makes an interface with its addresses.
func (t *twin) plug(l *link) error {
	if !l.loopback {
		if err := t.tunnel(l); err != nil {
			return err
		}
	}
	for _, a := range l.addrs {
		if err := t.address(l, a); err != nil {
			return err
		}
	}
	return t.up(l.name)
}

// tunnel makes an interface that ends in this process.
func (t *twin) tunnel(l *link) error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return os.NewSyscallError("open /dev/net/tun", err)
	}
	t.ends[l.name] = fd
	ifr, err := unix.NewIfreq(l.name)
	if err != nil {
		return err
	}
	for {
		if err := unix.IoctlSetPointerInt(fd, unix.TUNSETIFINDEX, l.index); err != nil { // rules may go by it
			return os.NewSyscallError("number a tunnel", err)
		}
		ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
		// Some kernels' namespaces are born with interfaces, such as sit0 and tunl0, at the first numbers.
		if errors.Is(err, unix.EBUSY) && l.index < nobodys {
			l.index += nobodys
			t.renumbered = true
			continue
		}
		return os.NewSyscallError("make a tunnel", err)
	}
}

// nobodys is above all numbers of interfaces.
const nobodys = 1 << 24

func family(a netip.Addr) byte {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func native(n int) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(n)) }

func (t *twin) address(l *link, p netip.Prefix) error {
	var m netlink.Message
	m.Begin(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE|unix.NLM_F_ACK)
	m.Raw(family(p.Addr()), byte(p.Bits()), unix.IFA_F_NODAD, unix.RT_SCOPE_UNIVERSE)
	m.Raw(native(l.index)...)
	m.Bytes(unix.IFA_LOCAL, p.Addr().AsSlice())
	m.Bytes(unix.IFA_ADDRESS, p.Addr().AsSlice())
	return t.route.Do(&m, nil)
}

// settle waits until an address is the copy's own: one of IPv6 becomes so a moment after it is there.
func (t *twin) settle(a netip.Addr) error {
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		kind, _, err := t.route.Route(0, netip.Addr{}, a)
		switch {
		case kind == unix.RTN_LOCAL:
			return nil
		case time.Now().After(end):
			return errors.Join(errors.New("it does not become the copy's own"), err)
		}
	}
}

func (t *twin) up(name string) error {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	var m netlink.Message
	m.Begin(unix.RTM_NEWLINK, unix.NLM_F_ACK)
	m.Raw(unix.AF_UNSPEC, 0, 0, 0)
	m.Raw(native(i.Index)...)
	m.Raw(native(unix.IFF_UP)...)
	m.Raw(native(unix.IFF_UP)...)
	return t.route.Do(&m, nil)
}

// lead routes a network by an interface, whatever routed it before.
func (t *twin) lead(to netip.Prefix, name string) error {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	var m netlink.Message
	m.Begin(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE|unix.NLM_F_ACK)
	scope := byte(unix.RT_SCOPE_LINK)
	if to.Addr().Is6() {
		scope = unix.RT_SCOPE_UNIVERSE
	}
	m.Raw(family(to.Addr()), byte(to.Bits()), 0, 0)
	m.Raw(unix.RT_TABLE_MAIN, unix.RTPROT_STATIC, scope, unix.RTN_UNICAST)
	m.Raw(native(0)...)
	m.Bytes(unix.RTA_DST, to.Addr().AsSlice())
	m.Bytes(unix.RTA_OIF, native(i.Index))
	return t.route.Do(&m, nil)
}

// passAll goes along every way without the rules of iptables-legacy and, should there be some, again with them.
func (t *twin) passAll(ctx context.Context, legacy [2]string, ways []Way, targets []string, out []Outcome) error {
	port := uint16(40000)
	for i := range ways {
		if port++; out[i].Err == nil {
			out[i] = t.pass(ctx, &ways[i], targets[i], port)
		}
	}
	if legacy == [2]string{} {
		return nil
	}
	for i, family := range []string{"ip", "ip6"} {
		if legacy[i] == "" {
			continue
		}
		program := restorer(family, "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
		// Run by this thread, it is in this namespace.
		cmd := exec.CommandContext(ctx, program)
		cmd.Stdin = strings.NewReader(legacy[i])
		if said, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", program, err, said)
		}
	}
	for i := range ways {
		if out[i].Dropped != nil || out[i].Err != nil {
			continue
		}
		port++
		o := t.pass(ctx, &ways[i], targets[i], port) // what leads it there may be of iptables-legacy, too
		o.Legacy = out[i].Back && !o.Back && o.Dropped == nil && o.Err == nil
		out[i] = o
	}
	return nil
}

// restorer is the program that takes what the one that prints the rules of iptables-legacy has printed. Where that
// is the only variant, it has no name.
func restorer(family string, folders ...string) string {
	find := func(program string) string {
		for _, f := range folders {
			if path, err := exec.LookPath(filepath.Join(f, program)); err == nil {
				return path
			}
		}
		return ""
	}
	if find(family+"tables-legacy-save") == "" {
		if path := find(family + "tables-restore"); path != "" {
			return path
		}
	}
	return cmp.Or(find(family+"tables-legacy-restore"), family+"tables-legacy-restore")
}

func asksOfLegacy(saved [2]string) bool {
	return slices.ContainsFunc(notHad[:], func(name string) bool { return asks(saved, "-m "+name) })
}

func asks(saved [2]string, what string) bool {
	return strings.Contains(saved[0]+saved[1], " "+what+" ")
}
