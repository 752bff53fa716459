package nft

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall"
)

// The names in the table. They are part of what `nft list ruleset` shows, so they say what
// they are.
const (
	setDNAT4, setDNAT6 = "dnat4", "dnat6"
	setUp4, setUp6     = "up4", "up6"     // from the source
	setDown4, setDown6 = "down4", "down6" // to the source
	setHints           = "hints"
	setPace            = "pace"           // of each hint
	setShares          = "shares"         // of the sources of packets without a hint
	setOpen4, setOpen6 = "open4", "open6" // ports of the proxy for everybody
	setStay4, setStay6 = "stay4", "stay6" // ports of the proxy where everybody's connections may go on
	setAsked4          = "asked4"         // what another firewall may translate
	setAsked6          = "asked6"
	chainByMark        = "by_mark" // empty
	counterPassed      = "knock_passed"
	counterLimited     = "knock_limited"
	counterGarbage     = "knock_garbage"
)

// Priorities: see netfilter_ipv4.h for the named ones.
const (
	priorityRaw    = -300
	priorityDNAT   = -110 // before dstnat (-100): the first to translate wins, and a session is asked for by name
	priorityGate   = -10  // before filter (0): the host's rules never see packets of ended sessions
	prioritySource = 100
	priorityLate   = 100 // after filter: the host's own policy speaks first
)

// How many knocks with one hint may come: a device sends one over IPv4 and one over IPv6
// and repeats them a few times.
const (
	hintRate  = 20 // a second
	hintBurst = 40
	paceFor   = 10_000 // milliseconds that the kernel remembers a hint's pace
)

// How many packets without a hint may come from the sources that share a place, of which each source
// has one by chance: which places are busy nobody can tell who does not know the sources.
const (
	shares     = 16384
	shareRate  = 1 // a second
	shareBurst = 5
	shareFor   = 10_000 // milliseconds that the kernel remembers a share
	// spareBurst parts a second's spare packets may come at once.
	spareBurst = 10
)

// How many connections a second everybody together may begin at the ports that are open for a
// while: each of them may cost the proxy a handshake.
const (
	everybodyRate  = 50
	everybodyBurst = 200
)

// layout is the table without elements: everything that depends on the settings only.
type layout struct {
	sets     []set
	counters []string
	chains   []chain
}

type set struct {
	name              string
	flags             uint32
	keyType, dataType uint32 // as nft prints them
	keyLen, dataLen   uint32
	size              uint32
	counter           bool
	typeof            []byte // for nft, where keyType does not say it all
	comment           string // with a fingerprint of the rest
}

type chain struct {
	name     string
	kind     string // "" for a chain that is only jumped to
	hook     uint32
	priority int32
	rules    []rule
}

type rule struct {
	exprs   exprs
	comment string // with a fingerprint of exprs
}

// The numbers by which nft knows the types of parts of keys (nftables, datatype.h), six
// bits each in a concatenation.
const (
	typeInteger = 4
	typeIPv4    = 7
	typeIPv6    = 8
	typeProto   = 12
	typeService = 13
	typeMark    = 19
)

func concat(types ...uint32) uint32 {
	var t uint32
	for _, p := range types {
		t = t<<6 | p
	}
	return t
}

// family is what differs between IPv4 and IPv6.
type family struct {
	nfproto         byte
	addrType        uint32
	addrLen         uint32
	shareLen        uint32 // bytes of a source that have a share; somebody with one IPv6 address has a /56 as well
	saddr, daddr    uint32 // offsets in the network header
	dnat, up, down  string
	open, stay      string
	asked           string
	mask            []byte // nil: the whole address counts
	keyLen, liveLen uint32
	icmp            byte
}

// has reports whether an address is of the family.
func (f family) has(a netip.Addr) bool { return a.Is4() == (f.nfproto == unix.NFPROTO_IPV4) }

func families(prefix6 int) [2]family {
	v6 := family{
		nfproto: unix.NFPROTO_IPV6, addrType: typeIPv6, addrLen: 16, shareLen: 7, saddr: 8, daddr: 24,
		dnat: setDNAT6, up: setUp6, down: setDown6, open: setOpen6, stay: setStay6, asked: setAsked6, keyLen: 24, liveLen: 44, icmp: unix.IPPROTO_ICMPV6,
	}
	if prefix6 < 128 {
		v6.mask = make([]byte, 16)
		for i := range prefix6 {
			v6.mask[i/8] |= 0x80 >> (i % 8)
		}
	}
	return [2]family{{
		nfproto: unix.NFPROTO_IPV4, addrType: typeIPv4, addrLen: 4, shareLen: 4, saddr: 12, daddr: 16,
		dnat: setDNAT4, up: setUp4, down: setDown4, open: setOpen4, stay: setStay4, asked: setAsked4, keyLen: 12, liveLen: 20, icmp: unix.IPPROTO_ICMP,
	}, v6}
}

// Registers of 32 bits. Keys are built from the first on, as concatenations are compared as
// one piece; whatever else a rule needs lies behind the longest key (11 registers).
const (
	reg0      = unix.NFT_REG32_00
	regTarget = unix.NFT_REG32_00 + 6 // behind the longest key of a dnat map
	regOther  = unix.NFT_REG_4        // 16 bytes: REG32_12 to REG32_15
)

// newLayout writes down the table for the settings.
func newLayout(s firewall.Settings, how marking, filter filtering) layout {
	return (&builder{mark: how}).table(s, filter)
}

func (b *builder) table(s firewall.Settings, filter filtering) layout {
	fams := families(s.IPv6Prefix)
	const timed = unix.NFT_SET_TIMEOUT
	for _, f := range fams {
		source := concat(f.addrType, typeProto, typeService)
		target := concat(f.addrType, typeService)
		live := concat(f.addrType, typeProto, f.addrType, typeService, typeService)
		b.set(set{
			name: f.dnat, flags: timed | unix.NFT_SET_MAP, keyType: source, keyLen: f.keyLen,
			dataType: target, dataLen: f.addrLen + 4, counter: true,
		}, "source . protocol . public port : target; counts connections")
		b.set(set{name: f.up, flags: timed, keyType: live, keyLen: f.liveLen, counter: true}, "live sessions, packets from the source")
		b.set(set{name: f.down, flags: timed, keyType: live, keyLen: f.liveLen, counter: true}, "live sessions, packets to the source")
		if proxyAddress(s.Proxy, f).IsValid() {
			b.set(set{name: f.open, flags: timed, keyType: typeService, keyLen: 2}, "ports that lead everybody to the proxy")
			b.set(set{name: f.stay, flags: timed, keyType: typeService, keyLen: 2}, "ports of the proxy where everybody may go on")
		}
		if mayBeElsewhere && b.elsewhere {
			b.set(set{name: f.asked, flags: timed, keyType: source, keyLen: f.keyLen}, "source . protocol . public port that another firewall may translate")
		}
	}

	if b.mark == byMark { // tells the next driver that there are connections with nothing else
		b.chain(chainByMark, "", 0, 0)
	}

	// A connection is taken by name: from this source, to this port, of this host.
	b.chain("take", "", 0, 0)
	for _, f := range fams {
		if mayBeElsewhere && b.elsewhere {
			// The other does not ask which host a packet is for: what it translates has to be ours.
			b.rule("another firewall translates, if it can be recognised later",
				b.family(f), b.sourceKey(f), lookupMap(reg0, f.dnat, regTarget),
				b.mark.set(), b.mark.isSet(), verdict(verdictAccept, ""))
			continue
		}
		b.rule("translate, if it can be recognised later",
			b.family(f), b.local(), b.sourceKey(f),
			lookupMap(reg0, f.dnat, regTarget),
			b.mark.set(), b.mark.isSet(),
			dnat(uint32(f.nfproto), regTarget, regTarget+f.addrLen/4))
	}

	// Every packet of such a connection, both ways, needs a live session.
	b.chain("gate", "", 0, 0)
	for _, f := range fams {
		b.rule("errors about packets, path MTU among them", b.family(f), b.protocol(f.icmp), b.related(), verdict(unix.NFT_RETURN, ""))
	}
	// One rule for each protocol only because nft could not read its own listing otherwise:
	// it learns from the protocol what a port of ct is.
	for _, f := range fams {
		for _, p := range []byte{protoTCP, protoUDP} {
			b.rule("from the source", b.direction(0), b.family(f), b.protocol(p), b.liveKey(f, f.saddr, f.daddr, 2),
				lookup(reg0, f.up), verdict(unix.NFT_RETURN, ""))
			b.rule("to the source", b.direction(1), b.family(f), b.protocol(p), b.liveKey(f, f.daddr, f.saddr, 0),
				lookup(reg0, f.down), verdict(unix.NFT_RETURN, ""))
		}
	}
	b.rule("ended", b.protocol(protoTCP), reject(unix.NFT_REJECT_TCP_RST, 0))
	b.rule("ended", verdict(verdictDrop, ""))

	b.chain("inside", "", 0, 0)
	b.gatewaysAreOutside(s.Gateways, fams)
	b.proxyFromInside(s.Proxy, fams)
	b.hairpins(s.Hairpins, fams)
	b.chain("nat_in", "nat", unix.NF_INET_PRE_ROUTING, priorityDNAT)
	b.rule("", verdict(unix.NFT_JUMP, "inside"))
	if len(s.WAN) == 0 {
		b.rule("", verdict(unix.NFT_JUMP, "take"))
	}
	for _, name := range s.WAN {
		b.rule("", b.from(name), verdict(unix.NFT_JUMP, "take"))
	}
	b.proxyFromEverywhere(s.Proxy, fams)
	if mayBeElsewhere && b.elsewhere {
		for _, f := range fams {
			// To translate it to what it is leaves it as it is, for others too.
			port := regTarget + f.addrLen/4
			b.rule("another firewall would translate it, and its session is over",
				b.family(f), b.sourceKey(f), lookup(reg0, f.asked),
				payload(unix.NFT_PAYLOAD_NETWORK_HEADER, f.daddr, f.addrLen, regTarget),
				payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, port),
				dnat(uint32(f.nfproto), regTarget, port))
		}
	}
	b.chain("gate_forward", "filter", unix.NF_INET_FORWARD, priorityGate)
	b.rule("", b.mark.isSet(), verdict(unix.NFT_JUMP, "gate"))
	b.chain("gate_input", "filter", unix.NF_INET_LOCAL_IN, priorityGate)
	b.rule("", b.mark.isSet(), verdict(unix.NFT_JUMP, "gate"))
	b.proxyFromElsewhere(s.Proxy, s.Gateways, fams)
	b.chain("gate_output", "filter", unix.NF_INET_LOCAL_OUT, priorityGate)
	b.rule("our own resets pass here once more", b.protocol(protoTCP), b.reset(), verdict(verdictAccept, ""))
	b.rule("", b.mark.isSet(), verdict(unix.NFT_JUMP, "gate"))
	if s.Masquerade || len(s.Hairpins) > 0 {
		b.chain("nat_out", "nat", unix.NF_INET_POST_ROUTING, prioritySource)
	}
	if s.Masquerade {
		b.rule("", b.mark.isSet(), b.direction(0), masq())
	}
	b.hairpinsBack(s.Hairpins, fams)
	if s.KnockPort != 0 {
		b.knocks(s, fams, filter)
	}
	return b.layout
}

// proxyFromEverywhere leads everybody to what is public for a while. Sessions have been asked
// for by then. What comes too fast finds a port as closed as it usually is.
func (b *builder) proxyFromEverywhere(p firewall.Proxy, fams [2]family) {
	for _, f := range fams {
		addr := proxyAddress(p, f)
		if !addr.IsValid() {
			continue
		}
		port := regTarget + f.addrLen/4
		b.rule("the proxy, from everywhere", b.family(f), b.protocol(protoTCP), b.anyPort(2, f.open), b.local(), limit(everybodyRate, everybodyBurst),
			immediate(addr.AsSlice(), regTarget), payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, port),
			dnat(uint32(f.nfproto), regTarget, port))
	}
}

// proxyAddress returns the proxy's address of a family; none when it does not serve.
func proxyAddress(p firewall.Proxy, f family) netip.Addr {
	switch {
	case p.Port == 0:
		return netip.Addr{}
	case f.nfproto == unix.NFPROTO_IPV6:
		return p.Addr6
	}
	return p.Addr4
}

// leadTo translates the destination.
func leadTo(f family, to netip.AddrPort) exprs {
	port := regTarget + f.addrLen/4
	return slices.Concat(
		immediate(to.Addr().AsSlice(), regTarget), immediate(number(to.Port()), port),
		dnat(uint32(f.nfproto), regTarget, port),
	)
}

// proxyFromElsewhere keeps others from the proxy's addresses: a neighbour of the router could
// send packets to them without any translation.
func (b *builder) proxyFromElsewhere(p firewall.Proxy, gateways []netip.Addr, fams [2]family) {
	for _, f := range fams {
		addr := proxyAddress(p, f)
		if !addr.IsValid() {
			continue
		}
		to := b.payload(unix.NFT_PAYLOAD_NETWORK_HEADER, f.daddr, addr.AsSlice())
		b.rule("the proxy, from everywhere", b.family(f), to, b.protocol(protoTCP), b.anyPort(2, f.stay), b.translated(), verdict(unix.NFT_RETURN, ""))
		for _, g := range gateways {
			if f.has(g) {
				b.rule("the proxy, from elsewhere", b.family(f), to, b.source(f, g), b.mark.isNotSet(), verdict(verdictDrop, ""))
			}
		}
		for _, n := range p.LocalNetworks {
			if f.has(n.Addr()) {
				b.rule("the proxy, from inside", b.family(f), to, b.inside(f, n), verdict(unix.NFT_RETURN, ""))
			}
		}
		b.rule("the proxy, from elsewhere", b.family(f), to, b.notFrom("lo"), b.mark.isNotSet(), verdict(verdictDrop, ""))
	}
}

// knocks adds the filter in front of the knock port. Only datagrams that may be knocks pass
// untracked, and only they reach the socket: the rest is met by the host's own rules like
// anything to a closed port, and, where those let it in, answered as the kernel answers for
// a closed port.
func (b *builder) knocks(s firewall.Settings, fams [2]family, filter filtering) {
	const eval = 1 << 5 // NFT_SET_EVAL: rules may add elements
	b.set(set{name: setHints, flags: unix.NFT_SET_TIMEOUT, keyType: typeInteger, keyLen: 8, typeof: typeofHint()}, "first bytes of knocks that are valid now")
	b.set(set{name: setPace, flags: unix.NFT_SET_TIMEOUT | eval, keyType: typeInteger, keyLen: 8, typeof: typeofHint(), size: 65535}, "how fast knocks with one hint come")
	b.layout.counters = []string{counterPassed, counterLimited, counterGarbage}

	hint := payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 8, 8, reg0)
	b.chain("knock", "", 0, 0)
	b.rule("a hint that is valid now", b.payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 4, number(uint16(8+s.KnockLength))),
		hint, lookup(reg0, setHints), verdict(unix.NFT_GOTO, "knock_valid"))
	b.rule("anything else", b.count(counterGarbage))
	b.chain("knock_valid", "", 0, 0)
	b.rule("too many with one hint", hint,
		dynset(unix.NFT_DYNSET_OP_UPDATE, reg0, setPace, paceFor, limitOver(hintRate, hintBurst)),
		b.count(counterLimited), verdict(verdictDrop, ""))
	b.rule("to the socket", b.count(counterPassed), notrack(), verdict(verdictAccept, ""))

	b.chain("knock_filter", "filter", unix.NF_INET_PRE_ROUTING, priorityRaw)
	b.rule("", b.protocol(protoUDP), b.port(2, s.KnockPort), b.local(), verdict(unix.NFT_JUMP, "knock"))
	if s.Fwknop.Port != 0 {
		b.shaped(s.Fwknop, fams, filter)
	}
	b.chain("knock_answers", "filter", unix.NF_INET_LOCAL_OUT, priorityRaw)
	b.rule("", b.protocol(protoUDP), b.port(0, s.KnockPort), notrack())
	b.chain("knock_closed", "filter", unix.NF_INET_LOCAL_IN, priorityLate)
	b.rule("", b.protocol(protoUDP), b.port(2, s.KnockPort), b.tracked(),
		reject(unix.NFT_REJECT_ICMPX_UNREACH, unix.NFT_REJECT_ICMPX_PORT_UNREACH))
	if s.Fwknop.Port != 0 {
		b.rule("", b.protocol(protoUDP), b.port(2, s.Fwknop.Port), b.tracked(),
			reject(unix.NFT_REJECT_ICMPX_UNREACH, unix.NFT_REJECT_ICMPX_PORT_UNREACH))
	}
}

// shaped has the same done for a port whose datagrams have a shape and nothing more. How many come is
// limited, but not so that a stranger could use up what others have: each source has a share of its
// own, with some others, and beyond the shares everybody has the same chance at what is spare.
func (b *builder) shaped(s firewall.Shape, fams [2]family, filter filtering) {
	to := slices.Concat(b.protocol(protoUDP), b.port(2, s.Port), b.local())
	length := slices.Concat(
		payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 4, 2, regOther),
		cmp(unix.NFT_CMP_GTE, regOther, number(uint16(8+s.Min))), cmp(unix.NFT_CMP_LTE, regOther, number(uint16(8+s.Max))))
	for _, first := range s.FirstBits {
		b.rule("fwknop", to, length,
			payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 8, 1, regOther),
			bitwise(regOther, []byte{first.Mask}, []byte{0}, regOther), cmp(unix.NFT_CMP_EQ, regOther, []byte{first.Value}),
			verdict(unix.NFT_GOTO, "shaped"))
	}
	b.rule("anything else", to, b.count(counterGarbage))
	pass := slices.Concat(b.count(counterPassed), notrack(), verdict(verdictAccept, ""))
	b.chain("shaped", "", 0, 0)
	if filter != filterAll {
		b.rule("to the socket", pass)
		return
	}
	const eval = 1 << 5 // NFT_SET_EVAL: rules may add elements
	// Twice the room: what has ended counts until the kernel collects it.
	b.set(set{name: setShares, flags: unix.NFT_SET_TIMEOUT | eval, keyType: typeMark, keyLen: 4, size: 2 * shares}, "how fast packets without a hint come")
	for _, f := range fams {
		b.rule("a share of one's own, to the socket", b.family(f),
			payload(unix.NFT_PAYLOAD_NETWORK_HEADER, f.saddr, f.shareLen, regOther), hash(regOther, f.shareLen, shares, reg0),
			dynset(unix.NFT_DYNSET_OP_UPDATE, reg0, setShares, shareFor, limit(shareRate, shareBurst)), pass)
	}
	if s.Spare > 0 {
		b.rule("what is spare, to the socket", limit(uint64(s.Spare), uint32(max(s.Spare/spareBurst, 1))), pass)
	}
	b.rule("too many", b.count(counterLimited), verdict(verdictDrop, ""))
}

// builder collects a layout.
type builder struct {
	layout    layout
	mark      marking
	elsewhere bool // another firewall translates
}

func (b *builder) set(s set, comment string) {
	s.comment = comment + " " + fingerprint(fmt.Appendf(nil, "%+v", s))
	b.layout.sets = append(b.layout.sets, s)
}

func (b *builder) chain(name, kind string, hook uint32, priority int32) {
	b.layout.chains = append(b.layout.chains, chain{name: name, kind: kind, hook: hook, priority: priority})
}

// rule adds a rule to the last chain.
func (b *builder) rule(comment string, parts ...exprs) {
	all := slices.Concat(parts...)
	c := &b.layout.chains[len(b.layout.chains)-1]
	c.rules = append(c.rules, rule{exprs: all, comment: strings.TrimSpace(comment + " " + fingerprint(all))})
}

// fingerprint is what tells our rule from another that took its place, or from one of
// another version of this program.
func fingerprint(b []byte) string {
	sum := sha256.Sum256(b)
	return "#" + hex.EncodeToString(sum[:6])
}

// typeofHint tells nft that a set's keys are `typeof @th,64,64`, in the words of its user
// data, so that it can read what it prints. Without it a saved ruleset would not load.
func typeofHint() []byte {
	field := func(kind byte, v uint32) []byte {
		return binary.NativeEndian.AppendUint32([]byte{kind, 4}, v)
	}
	const payload, transport, offset, length = 7, 3, 64, 64 // bits
	inner := slices.Concat(field(0, 0), field(1, 0), field(2, transport), field(3, offset), field(4, length))
	outer := slices.Concat(field(0, payload), []byte{1, byte(len(inner))}, inner)
	return append([]byte{udataSetTypeof, byte(len(outer))}, outer...)
}

// same reports whether the kernel's table, as read, is this layout.
func (l layout) same(k kernelTable) bool {
	if k.flags != 0 || len(k.chains) != len(l.chains) || len(k.sets) != len(l.sets) {
		return false
	}
	for _, s := range l.sets {
		if k.sets[s.name] != (kernelSet{flags: s.flags, keyLen: s.keyLen, dataLen: s.dataLen, comment: s.comment}) {
			return false
		}
	}
	for _, name := range l.counters {
		if !slices.Contains(k.counters, name) {
			return false
		}
	}
	for _, c := range l.chains {
		got, ok := k.chains[c.name]
		if !ok || got.kind != c.kind || c.kind != "" && (got.hook != c.hook || got.priority != c.priority || got.policy != policyAccept) {
			return false
		}
		if !slices.EqualFunc(got.rules, c.rules, func(comment string, r rule) bool { return comment == r.comment }) {
			return false
		}
	}
	return true
}
