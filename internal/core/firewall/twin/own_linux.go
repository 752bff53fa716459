package twin

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/netlink"
)

// own is the name of the copy's own tables. They are added to the rules that were copied.
const own = "ownline-twin"

// Priorities of chains: before all that may drop, and just before the destinations of others are translated.
const (
	first      = -500
	translates = -101 // NF_IP_PRI_NAT_DST - 1
	filtered   = -299 // just behind Ownline's own filter of knocks
)

var prefixes = map[bool]byte{true: unix.NFPROTO_IPV4, false: unix.NFPROTO_IPV6}

// chain adds one of a kind, with a name, at a hook.
func (r *ruleset) chain(family byte, kind, name string, hook uint32, priority int32) {
	r.begin(unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE, family)
	r.m.String(unix.NFTA_TABLE_NAME, own)
	r.begin(unix.NFT_MSG_NEWCHAIN, unix.NLM_F_CREATE, family)
	r.m.String(unix.NFTA_CHAIN_TABLE, own)
	r.m.String(unix.NFTA_CHAIN_NAME, name)
	at := r.m.Open(unix.NFTA_CHAIN_HOOK)
	r.m.Uint32(unix.NFTA_HOOK_HOOKNUM, hook)
	r.m.Uint32(unix.NFTA_HOOK_PRIORITY, uint32(priority))
	r.m.Close(at)
	r.m.String(unix.NFTA_CHAIN_TYPE, kind)
}

// rule adds one to the chain of that name.
func (r *ruleset) rule(family byte, name string, expressions func()) {
	r.begin(unix.NFT_MSG_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_APPEND, family)
	r.m.String(unix.NFTA_RULE_TABLE, own)
	r.m.String(unix.NFTA_RULE_CHAIN, name)
	at := r.m.Open(unix.NFTA_RULE_EXPRESSIONS)
	expressions()
	r.m.Close(at)
}

func (r *ruleset) expression(name string, data func()) {
	at := r.m.Open(unix.NFTA_LIST_ELEM)
	r.m.String(unix.NFTA_EXPR_NAME, name)
	in := r.m.Open(unix.NFTA_EXPR_DATA)
	data()
	r.m.Close(in)
	r.m.Close(at)
}

func (r *ruleset) immediate(register uint32, value []byte) {
	r.expression("immediate", func() {
		r.m.Uint32(unix.NFTA_IMMEDIATE_DREG, register)
		r.value(unix.NFTA_IMMEDIATE_DATA, value)
	})
}

func (r *ruleset) value(kind uint16, value []byte) {
	at := r.m.Open(kind)
	r.m.Bytes(unix.NFTA_DATA_VALUE, value)
	r.m.Close(at)
}

// traced has the kernel tell what becomes of every packet that comes.
func (r *ruleset) traced() {
	r.chain(unix.NFPROTO_INET, "filter", "in", unix.NF_INET_PRE_ROUTING, first)
	r.rule(unix.NFPROTO_INET, "in", r.trace)
}

func (r *ruleset) trace() {
	r.immediate(unix.NFT_REG_1, []byte{1})
	r.expression("meta", func() {
		r.m.Uint32(unix.NFTA_META_KEY, unix.NFT_META_NFTRACE)
		r.m.Uint32(unix.NFTA_META_SREG, unix.NFT_REG_1)
	})
}

// knocked treats what comes from the source of a way as Ownline's filter treats valid knocks, without their hints. The
// answer is traced, too.
func (r *ruleset) knocked(w *Way) {
	family := prefixes[w.Source.Is4()]
	untracked := func() {
		if w.Untracked {
			r.expression("notrack", func() {})
		}
	}
	r.chain(family, "filter", "knocks", unix.NF_INET_PRE_ROUTING, filtered)
	r.rule(family, "knocks", func() { r.at(w.Source, 0); untracked() })
	r.chain(family, "filter", "answers", unix.NF_INET_LOCAL_OUT, first)
	r.rule(family, "answers", func() { r.at(w.Source, 1); r.trace(); untracked() })
}

// at asks for an address: the source's, or behind it the target's.
func (r *ruleset) at(a netip.Addr, which int) {
	offset, length := 12, 4
	if a.Is6() {
		offset, length = 8, 16
	}
	r.expression("payload", func() {
		r.m.Uint32(unix.NFTA_PAYLOAD_DREG, unix.NFT_REG_1)
		r.m.Uint32(unix.NFTA_PAYLOAD_BASE, unix.NFT_PAYLOAD_NETWORK_HEADER)
		r.m.Uint32(unix.NFTA_PAYLOAD_OFFSET, uint32(offset+which*length))
		r.m.Uint32(unix.NFTA_PAYLOAD_LEN, uint32(length))
	})
	r.expression("cmp", func() {
		r.m.Uint32(unix.NFTA_CMP_SREG, unix.NFT_REG_1)
		r.m.Uint32(unix.NFTA_CMP_OP, unix.NFT_CMP_EQ)
		r.value(unix.NFTA_CMP_DATA, a.AsSlice())
	})
}

// pretend leads what comes from the source of a way to its target, as a session does.
func (r *ruleset) pretend(w *Way) {
	family := prefixes[w.Source.Is4()]
	r.chain(family, "nat", "nat", unix.NF_INET_PRE_ROUTING, translates)
	r.rule(family, "nat", func() {
		r.at(w.Source, 0)
		r.immediate(unix.NFT_REG_1, w.Target.Addr().AsSlice())
		r.immediate(unix.NFT_REG_2, binary.BigEndian.AppendUint16(nil, w.Target.Port()))
		r.expression("nat", func() {
			r.m.Uint32(unix.NFTA_NAT_TYPE, unix.NFT_NAT_DNAT)
			r.m.Uint32(unix.NFTA_NAT_FAMILY, uint32(family))
			r.m.Uint32(unix.NFTA_NAT_REG_ADDR_MIN, unix.NFT_REG_1)
			r.m.Uint32(unix.NFTA_NAT_REG_PROTO_MIN, unix.NFT_REG_2)
		})
	})
}

// trace is what the kernel tells of packets.
type trace struct{ fd int }

// traces are as many bytes as a packet's may have: with firewalld, it goes through a hundred rules.
const traces = 4 << 20

// listen begins to hear it.
func listen() (*trace, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, os.NewSyscallError("open netlink socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (unix.NFNLGRP_NFTRACE - 1)}); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("listen to the kernel's traces", err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, traces) // what does not fit is not told
	return &trace{fd}, nil
}

// dropped reads what was told, and notes in o the chain that has dropped the packet, if one has.
func (t *trace) dropped(o *Outcome) bool {
	const drop = 0 // NF_DROP
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(t.fd, buf)
		if errors.Is(err, unix.ENOBUFS) {
			continue // some are lost, and there are others
		}
		if err != nil {
			return o.Dropped != nil
		}
		for b := buf[:n]; len(b) >= unix.NLMSG_HDRLEN; {
			size := int(binary.NativeEndian.Uint32(b))
			if size < unix.NLMSG_HDRLEN+4 || size > len(b) {
				break
			}
			family, body := b[unix.NLMSG_HDRLEN], b[unix.NLMSG_HDRLEN+4:size]
			told, by := netlink.Find(body, unix.NFTA_TRACE_VERDICT, unix.NFTA_VERDICT_CODE), netlink.Uint32(netlink.Find(body, unix.NFTA_TRACE_TYPE))
			if by == unix.NFT_TRACETYPE_POLICY {
				told = netlink.Find(body, unix.NFTA_TRACE_POLICY)
			}
			if told != nil && netlink.Uint32(told) == drop {
				o.Dropped = &firewall.Chain{Family: families[family], Table: text(body, unix.NFTA_TRACE_TABLE), Name: text(body, unix.NFTA_TRACE_CHAIN)}
				o.Policy = by == unix.NFT_TRACETYPE_POLICY
			}
			b = b[min((size+3)&^3, len(b)):]
		}
	}
}

var families = map[byte]string{unix.NFPROTO_INET: "inet", unix.NFPROTO_IPV4: "ip", unix.NFPROTO_IPV6: "ip6"}

// readable waits until there is something to read from one of them.
func readable(wait time.Duration, fds ...int) bool {
	var all []unix.PollFd
	for _, fd := range fds {
		all = append(all, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	n, err := unix.Poll(all, int(wait.Milliseconds())+1)
	return err == nil && n > 0 || errors.Is(err, unix.EINTR)
}
