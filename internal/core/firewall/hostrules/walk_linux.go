package hostrules

import (
	"bytes"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/netlink"
)

// verdict is what becomes of a packet: those of linux/netfilter.h and linux/netfilter/nf_tables.h.
type verdict int32

const (
	drop     verdict = 0
	accept   verdict = 1
	goOn     verdict = unix.NFT_CONTINUE
	jump     verdict = unix.NFT_JUMP
	leaveFor verdict = unix.NFT_GOTO
	comeBack verdict = unix.NFT_RETURN
	rewrite  verdict = 1 << 16 // it goes on, as from another source
)

// truth is whether a rule is about a packet.
type truth int

const (
	no truth = iota
	maybe
	yes
)

func is(b bool) truth {
	if b {
		return yes
	}
	return no
}

// Obstacles returns the chains that drop a packet.
func (r *Rules) Obstacles(p *Packet) (out []Obstacle) {
	for _, c := range r.chains {
		q := c.meets(*p)
		if q == nil {
			continue
		}
		c.seen = true
		v, unsure := r.walk(c, q, 0)
		if v == drop || v != accept && v != rewrite && c.drops {
			out = append(out, Obstacle{&c.Chain, unsure, v == goOn, q.blind, c.Table == "firewalld" || r.beside(c, "INPUT_ZONES") != nil})
		}
	}
	return out
}

// Unseen returns the chains that may drop something, and that are met by no packet that was asked for: those of
// other devices, also such as what was asked for comes by inside of something else, of bridges, and of ARP.
func (r *Rules) Unseen() (out []*firewall.Chain) {
	for _, c := range r.chains {
		if (c.Hook == "ingress" || c.Hook == "other") && !c.seen && (c.drops || len(c.rules) > 0) {
			out = append(out, &c.Chain)
		}
	}
	return out
}

// Rewrites returns the chain that puts another address in place of a packet's source; nil: none does, as far as it can
// be known.
func (r *Rules) Rewrites(p *Packet) *firewall.Chain {
	for _, c := range r.chains {
		if q := c.meets(*p); q != nil {
			if v, _ := r.walk(c, q, 0); v == rewrite {
				return &c.Chain
			}
		}
	}
	return nil
}

// Priorities of prerouting: up to where knocks are told to be none of a connection, or others what they are of, and
// sessions are led to their targets.
const untracked, tracked, translated = -300, -200, -110

// rewritten is up to where packets of postrouting have the source that they came with.
const rewritten = 100

// meets returns a packet as a chain sees it; nil: it does not.
func (c *chain) meets(p Packet) *Packet {
	ingress := c.Hook == "ingress" && p.Hook == "prerouting"
	p.local = p.Hook == "input"
	switch {
	case c.Hook != p.Hook && !ingress,
		ingress && !slices.ContainsFunc(c.devices, func(name string) bool { return isInterface(p.In, name) != no }),
		(c.family == unix.NFPROTO_IPV4 || c.family == unix.NFPROTO_IPV6) && (c.family == unix.NFPROTO_IPV6) != p.IPv6,
		c.nat && (p.Untracked || p.Established):
		return nil
	}
	if p.Hook == "postrouting" && p.Translated && c.priority > rewritten {
		p.Source, p.From = netip.Addr{}, 0 // another by now, maybe
	}
	if p.Hook != "prerouting" {
		return &p
	}
	p.Out = "" // nobody knows yet
	late := c.priority > translated && !ingress
	if late && p.Translated && !p.Established {
		if p.To = 0; c.nat { // of the target; nor does it meet these
			return nil
		}
	}
	p.local = !p.Established && !(late && p.Translated)
	p.Translated = p.Translated && (late || p.Established)
	if p.blind = ingress || c.priority <= untracked || c.priority <= tracked && !p.Untracked; p.blind {
		p.Translated = false
	}
	return &p
}

// deepest is how far the kernel lets jumps go (NFT_JUMP_STACK_SIZE).
const deepest = 16

// walk follows a packet through a chain; unsure is whether it may have been accepted on the way. At the
// chain's end it goes on, before that it comes back.
func (r *Rules) walk(c *chain, p *Packet, depth int) (v verdict, unsure bool) {
	if c == nil || depth > deepest {
		return goOn, false
	}
	left := false // whether it may have come back by now
	for i := range len(c.rules) + len(c.lines) {
		is, v, to := r.judge(c, i, p)
		last := v == leaveFor
		if is != no && (v == jump || v == leaveFor) {
			sub := false
			if v, sub = r.walk(r.beside(c, to), p, depth+1); v == comeBack {
				v = goOn
			}
			unsure = unsure || sub
		}
		switch {
		case is == no:
		case is == maybe:
			unsure = unsure || v == accept
			left = left || v == comeBack || last
		case v == accept || v == rewrite:
			return v, unsure
		case v == drop:
			return v, unsure || left
		case v == comeBack || last:
			return comeBack, unsure
		}
	}
	return goOn, unsure
}

// judge tells whether a rule is about a packet, and what it decides.
func (r *Rules) judge(c *chain, rule int, p *Packet) (is truth, v verdict, to string) {
	if c.Legacy {
		return p.legacy(c.lines[rule])
	}
	var regs registers
	is = yes
	for _, e := range netlink.Attributes(c.rules[rule]) {
		name, data := text(e, unix.NFTA_EXPR_NAME), netlink.Find(e, unix.NFTA_EXPR_DATA)
		t := yes
		v = goOn
		switch name {
		case "immediate":
			v, to = verdictOf(netlink.Find(data, unix.NFTA_IMMEDIATE_DATA))
		case "lookup":
			t, v, to = r.lookup(c, data, regs.at(data, unix.NFTA_LOOKUP_SREG))
		case "reject":
			v = drop
		case "masq":
			v = rewrite
		case "nat":
			if t = maybe; number(data, unix.NFTA_NAT_TYPE) == unix.NFT_NAT_SNAT {
				t, v = yes, rewrite
			}
		case "target": // of iptables; it has an expression of nftables for the others that decide
			switch text(data, unix.NFTA_TARGET_NAME) {
			case "REJECT":
				v = drop
			case "MASQUERADE", "SNAT":
				v = rewrite
			}
		default:
			t = regs.judge(name, data, p)
		}
		if is = min(is, t); is == no || v != goOn {
			break
		}
	}
	return is, v, to
}

// verdictOf reads the data of a rule or of a map's element.
func verdictOf(data []byte) (verdict, string) {
	if d := netlink.Find(data, unix.NFTA_DATA_VERDICT); d != nil {
		return verdict(number(d, unix.NFTA_VERDICT_CODE)), text(d, unix.NFTA_VERDICT_CHAIN)
	}
	return goOn, ""
}

// lookup finds a key in a set or a map. What can't be known is nil.
func (r *Rules) lookup(c *chain, data, key []byte) (t truth, v verdict, to string) {
	t, v = no, goOn
	if key == nil {
		t = maybe
	}
	intervals := false
	var below, mapped []byte // of what begins or ends an interval the last before the key
	ended := true
	all, err := r.elements(c, text(data, unix.NFTA_LOOKUP_SET))
	if err != nil {
		return maybe, v, ""
	}
	for _, e := range all {
		k := netlink.Find(e, unix.NFTA_SET_ELEM_KEY, unix.NFTA_DATA_VALUE)
		if len(k) != len(key) { // its key is of several parts, too
			if t = maybe; number(e, unix.NFTA_SET_ELEM_DATA, unix.NFTA_DATA_VERDICT, unix.NFTA_VERDICT_CODE) == uint32(accept) {
				v = accept
			}
			continue
		}
		end := number(e, unix.NFTA_SET_ELEM_FLAGS)&unix.NFT_SET_ELEM_INTERVAL_END != 0
		intervals = intervals || end
		if o := bytes.Compare(k, key); o < 0 && bytes.Compare(k, below) >= 0 || o == 0 && (!end || ended) {
			// Where one ends and another begins it is the other that counts.
			below, mapped, ended = k, netlink.Find(e, unix.NFTA_SET_ELEM_DATA), end
		}
	}
	if t != maybe {
		t = is(!ended && (intervals || bytes.Equal(below, key)))
		if number(data, unix.NFTA_LOOKUP_FLAGS)&1 != 0 { // NFT_LOOKUP_F_INV
			t = yes - t
		}
		v, to = verdictOf(mapped)
	}
	return t, v, to
}
