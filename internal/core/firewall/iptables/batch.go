package iptables

import (
	"strconv"
	"strings"

	"github.com/ownline/ownline/internal/ownline"
)

// batch collects what iptables-restore is to do to one family's tables.
type batch struct {
	parts [len(tables)]struct{ chains, rules strings.Builder }
}

func (b *batch) part(table string) (chains, rules *strings.Builder) {
	for i, t := range tables {
		if t == table {
			return &b.parts[i].chains, &b.parts[i].rules
		}
	}
	panic("there is no table " + table)
}

// declare makes a chain, or empties it.
func (b *batch) declare(table, name string) {
	chains, _ := b.part(table)
	chains.WriteString(":" + name + " - [0:0]\n")
}

func (b *batch) line(table string, words ...string) {
	_, rules := b.part(table)
	rules.WriteString(strings.Join(words, " ") + "\n")
}

// fill makes a chain hold its rules and nothing else.
func (b *batch) fill(c chain) {
	b.declare(c.table, c.name)
	for _, r := range c.rules {
		b.line(c.table, "-A", c.name, string(r))
	}
}

// open adds a session.
func (b *batch) open(e Ending, s session) {
	for _, c := range s.own(e) {
		b.fill(c)
	}
	for _, l := range s.leads() {
		b.line(l.table, "-I", l.chain, string(l.rule))
	}
}

// reopen is open where one that is over has not been taken away: what that counted is not its.
func (b *batch) reopen(e Ending, s session) {
	for _, l := range s.leads() {
		b.line(l.table, "-D", l.chain, string(l.rule))
	}
	b.open(e, s)
}

// renew writes until when a session is live, where that is in a rule.
func (b *batch) renew(e Ending, had, s session) {
	if e != ByTime || had.stop == s.stop {
		return
	}
	for _, c := range s.own(e) {
		b.fill(c)
	}
}

// close takes a session away.
func (b *batch) close(e Ending, s session) {
	for _, l := range s.leads() {
		b.line(l.table, "-D", l.chain, string(l.rule))
	}
	for _, c := range s.own(e) {
		b.line(c.table, "-F", c.name)
		b.line(c.table, "-X", c.name)
	}
}

// lead adds a rule that leads to a session's chain, and goes on counting.
func (b *batch) lead(l placed, packets, bytes uint64) {
	b.line(l.table, "["+strconv.FormatUint(packets, 10)+":"+strconv.FormatUint(bytes, 10)+"]", "-A", l.chain, string(l.rule))
}

// all writes everything anew: our chains, the sessions with what they have counted, where the
// kernel's chains lead to ours, and takes away what of ours is there besides.
func (b *batch) all(e Ending, static []chain, hooks []hook, sessions []session, traffic map[string]ownline.Traffic, is kernel) {
	wanted := map[placedName]bool{}
	for _, h := range is.hooks() {
		b.line(h.table, "-D", h.chain, string(h.rule))
	}
	for _, s := range sessions {
		for _, c := range s.own(e) {
			b.declare(c.table, c.name)
			wanted[placedName{c.table, c.name}] = true
		}
	}
	for _, c := range static {
		b.declare(c.table, c.name)
		wanted[placedName{c.table, c.name}] = true
	}
	for name := range is.chains {
		if !wanted[name] {
			b.declare(name.table, name.chain) // emptied here, deleted when nothing leads there any more
		}
	}
	for _, s := range sessions {
		t := traffic[s.name]
		for _, l := range s.leads() {
			switch l.chain {
			case chainUp:
				b.lead(l, t.UpPackets, t.UpBytes)
			case chainDown:
				b.lead(l, t.DownPackets, t.DownBytes)
			default:
				b.line(l.table, "-A", l.chain, string(l.rule))
			}
		}
		for _, c := range s.own(e) {
			for _, r := range c.rules {
				b.line(c.table, "-A", c.name, string(r))
			}
		}
	}
	for _, c := range static {
		for _, r := range c.rules {
			b.line(c.table, "-A", c.name, string(r))
		}
	}
	for name := range is.chains {
		if !wanted[name] {
			b.line(name.table, "-X", name.chain)
		}
	}
	for _, h := range hooks {
		b.line(h.table, "-I", h.chain, strconv.Itoa(h.at+1), string(h.rule))
	}
}

// String is what iptables-restore reads.
func (b *batch) String() string {
	var out strings.Builder
	for i, t := range tables {
		p := &b.parts[i]
		if p.chains.Len()+p.rules.Len() > 0 {
			out.WriteString("*" + t + "\n" + p.chains.String() + p.rules.String() + "COMMIT\n")
		}
	}
	return out.String()
}
