package nft

import (
	"errors"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/netlink"
	"github.com/ownline/ownline/internal/ownline"
)

// kernelTable is the table as the kernel has it, in the words of layout. A table that does
// not exist has no chains.
type kernelTable struct {
	exists   bool
	flags    uint32
	sets     map[string]kernelSet
	chains   map[string]kernelChain
	counters []string
}

type kernelSet struct {
	flags, keyLen, dataLen uint32
	comment                string
}

type kernelChain struct {
	kind         string
	hook, policy uint32
	priority     int32
	rules        []string // their comments, in order
}

// find returns the value of the first attribute of a kind in a message of nfnetlink.
func find(body []byte, kind uint16) []byte {
	if len(body) < 4 {
		return nil
	}
	return inside(body[4:], kind)
}

func inside(attributes []byte, kind uint16) []byte {
	for k, v := range netlink.Attributes(attributes) {
		if k == kind {
			return v
		}
	}
	return nil
}

// dump asks for everything of a kind in our table.
func (d *Driver) dump(kind, tableAttribute uint16, each func(body []byte)) error {
	var m netlink.Message
	begin(&m, nftables|kind, unix.NLM_F_DUMP, unix.NFPROTO_INET)
	m.String(tableAttribute, d.table)
	return d.conn.Do(&m, func(_ uint16, body []byte) error {
		// Not every kernel filters all kinds.
		if netlink.String(find(body, tableAttribute)) == d.table {
			each(body)
		}
		return nil
	})
}

// readTable reads all of the table but its elements.
func (d *Driver) readTable() (kernelTable, error) {
	t := kernelTable{sets: map[string]kernelSet{}, chains: map[string]kernelChain{}}
	var m netlink.Message
	begin(&m, nftables|unix.NFT_MSG_GETTABLE, unix.NLM_F_ACK, unix.NFPROTO_INET)
	m.String(unix.NFTA_TABLE_NAME, d.table)
	err := d.conn.Do(&m, func(_ uint16, body []byte) error {
		t.exists = true
		t.flags = netlink.Uint32(find(body, unix.NFTA_TABLE_FLAGS))
		return nil
	})
	if errors.Is(err, unix.ENOENT) {
		return t, nil
	}
	return t, errors.Join(err,
		d.dump(unix.NFT_MSG_GETCHAIN, unix.NFTA_CHAIN_TABLE, t.chain),
		d.dump(unix.NFT_MSG_GETRULE, unix.NFTA_RULE_TABLE, t.rule),
		d.dump(unix.NFT_MSG_GETSET, unix.NFTA_SET_TABLE, t.set),
		d.dump(unix.NFT_MSG_GETOBJ, unix.NFTA_OBJ_TABLE, func(body []byte) {
			t.counters = append(t.counters, netlink.String(find(body, unix.NFTA_OBJ_NAME)))
		}))
}

func (t kernelTable) chain(body []byte) {
	hook := find(body, unix.NFTA_CHAIN_HOOK)
	t.chains[netlink.String(find(body, unix.NFTA_CHAIN_NAME))] = kernelChain{
		kind:     netlink.String(find(body, unix.NFTA_CHAIN_TYPE)),
		hook:     netlink.Uint32(inside(hook, unix.NFTA_HOOK_HOOKNUM)),
		priority: int32(netlink.Uint32(inside(hook, unix.NFTA_HOOK_PRIORITY))),
		policy:   netlink.Uint32(find(body, unix.NFTA_CHAIN_POLICY)),
	}
}

func (t kernelTable) rule(body []byte) {
	name := netlink.String(find(body, unix.NFTA_RULE_CHAIN))
	c := t.chains[name]
	c.rules = append(c.rules, comment(find(body, unix.NFTA_RULE_USERDATA), udataRule))
	t.chains[name] = c
}

func (t kernelTable) set(body []byte) {
	t.sets[netlink.String(find(body, unix.NFTA_SET_NAME))] = kernelSet{
		flags:   netlink.Uint32(find(body, unix.NFTA_SET_FLAGS)),
		keyLen:  netlink.Uint32(find(body, unix.NFTA_SET_KEY_LEN)),
		dataLen: netlink.Uint32(find(body, unix.NFTA_SET_DATA_LEN)),
		comment: comment(find(body, unix.NFTA_SET_USERDATA), udataSetComment),
	}
}

// comment finds text in user data.
func comment(b []byte, kind byte) string {
	for len(b) >= 2 {
		n := 2 + int(b[1])
		if n > len(b) {
			break
		}
		if b[0] == kind {
			return netlink.String(b[2:n])
		}
		b = b[n:]
	}
	return ""
}

// kernelElement is an element as the kernel has it.
type kernelElement struct {
	key, data      []byte // valid during the call
	until          time.Time
	slack          time.Duration // it may end earlier by so much: nobody knows when exactly the kernel looked
	bytes, packets uint64
}

// readElements gives each the elements of a set that have not expired.
func (d *Driver) readElements(set string, each func(kernelElement)) error {
	var m netlink.Message
	begin(&m, nftables|unix.NFT_MSG_GETSETELEM, unix.NLM_F_DUMP, unix.NFPROTO_INET)
	m.String(unix.NFTA_SET_ELEM_LIST_TABLE, d.table)
	m.String(unix.NFTA_SET_ELEM_LIST_SET, set)
	// While it hands out one piece of a dump, the kernel makes the next.
	asked := [2]time.Time{time.Now(), time.Now()}
	return d.conn.Do(&m, func(_ uint16, body []byte) error {
		eachElement(body, asked[0], each)
		asked = [2]time.Time{asked[1], time.Now()}
		return nil
	})
}

// readElement reads one element; errors.Is(err, unix.ENOENT) when there is none.
func (d *Driver) readElement(set string, key []byte) (got kernelElement, err error) {
	var t transaction
	begin(&t.m, nftables|unix.NFT_MSG_GETSETELEM, unix.NLM_F_ACK, unix.NFPROTO_INET)
	t.m.String(unix.NFTA_SET_ELEM_LIST_TABLE, d.table)
	t.m.String(unix.NFTA_SET_ELEM_LIST_SET, set)
	list := t.m.Open(unix.NFTA_SET_ELEM_LIST_ELEMENTS)
	elem := t.m.Open(unix.NFTA_LIST_ELEM)
	t.value(unix.NFTA_SET_ELEM_KEY, key)
	t.m.Close(elem)
	t.m.Close(list)
	err = d.conn.Do(&t.m, func(_ uint16, body []byte) error {
		eachElement(body, time.Now(), func(e kernelElement) { got = e })
		return nil
	})
	return got, err
}

func eachElement(body []byte, asked time.Time, each func(kernelElement)) {
	now := time.Now()
	slack := now.Sub(asked)
	for _, v := range netlink.Attributes(find(body, unix.NFTA_SET_ELEM_LIST_ELEMENTS)) {
		var e kernelElement
		for kind, v := range netlink.Attributes(v) {
			switch kind {
			case unix.NFTA_SET_ELEM_KEY:
				e.key = inside(v, unix.NFTA_DATA_VALUE)
			case unix.NFTA_SET_ELEM_DATA:
				e.data = inside(v, unix.NFTA_DATA_VALUE)
			case unix.NFTA_SET_ELEM_EXPIRATION:
				e.slack = slack
				e.until = now.Add(time.Duration(netlink.Uint64(v)) * time.Millisecond)
			case unix.NFTA_SET_ELEM_EXPR:
				data := inside(v, unix.NFTA_EXPR_DATA)
				e.bytes = netlink.Uint64(inside(data, unix.NFTA_COUNTER_BYTES))
				e.packets = netlink.Uint64(inside(data, unix.NFTA_COUNTER_PACKETS))
			}
		}
		each(e)
	}
}

// held is what the kernel holds for a key.
type held struct {
	target netip.AddrPort
	until  time.Time
	slack  time.Duration // it may end earlier by so much
	parts  uint8         // which of the three elements are there; a whole one has all
	uneven bool          // they do not end together
}

// ends reports whether it ends at t, as far as anybody can tell.
func (h held) ends(t time.Time) bool {
	d := h.until.Sub(t)
	return !h.uneven && d <= tolerance+min(h.slack, tolerance) && d >= -tolerance
}

const (
	inMap  = 1 << iota // the map
	inUp               // live, from the source
	inDown             // live, to the source
	whole  = inMap | inUp | inDown
)

// stray is an element that belongs to nothing.
type stray struct {
	set       string
	key, data []byte
}

// readForwards reads the maps and live sets. What does not fit together is returned as
// strays, to be deleted.
func (d *Driver) readForwards(prefix6 int) (map[firewall.Key]held, []stray, error) {
	all := map[firewall.Key]held{}
	var strays []stray
	astray := func(set string, e kernelElement) {
		strays = append(strays, stray{set, clone(e.key), clone(e.data)})
	}
	for _, f := range families(prefix6) {
		err := d.readElements(f.dnat, func(e kernelElement) {
			k, ok := parseMapKey(e.key, prefix6)
			target, ok2 := parseMapValue(e.data)
			if !ok || !ok2 || e.until.IsZero() {
				astray(f.dnat, e)
				return
			}
			all[k] = held{target: target, until: e.until, slack: e.slack, parts: inMap}
		})
		if err != nil {
			return nil, nil, err
		}
		for i, set := range []string{f.up, f.down} {
			err := d.readElements(set, func(e kernelElement) {
				k, target, ok := parseLiveKey(e.key, prefix6)
				h, have := all[k]
				if !ok || !have || h.target != target {
					astray(set, e)
					return
				}
				h.parts |= inUp << i
				h.uneven = h.uneven || e.until.Sub(h.until).Abs() > tolerance+h.slack+e.slack
				all[k] = h
			})
			if err != nil {
				return nil, nil, err
			}
		}
	}
	return all, strays, nil
}

// readTimed reads the elements of sets that have nothing but a time.
func (d *Driver) readTimed(into map[timed]time.Time, sets []string) error {
	for _, set := range sets {
		if err := d.readElements(set, func(e kernelElement) { into[timed{set, string(e.key)}] = e.until }); err != nil {
			return err
		}
	}
	return nil
}

// readTraffic reads the counters of all live sessions.
func (d *Driver) readTraffic(prefix6 int) (map[firewall.Key]ownline.Traffic, error) {
	all := map[firewall.Key]ownline.Traffic{}
	for _, f := range families(prefix6) {
		for i, set := range []string{f.up, f.down} {
			err := d.readElements(set, func(e kernelElement) {
				k, _, ok := parseLiveKey(e.key, prefix6)
				if !ok {
					return
				}
				t := all[k]
				if i == 0 {
					t.UpBytes, t.UpPackets = t.UpBytes+e.bytes, t.UpPackets+e.packets
				} else {
					t.DownBytes, t.DownPackets = t.DownBytes+e.bytes, t.DownPackets+e.packets
				}
				all[k] = t
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// readKnocks reads the counters of the knock filter.
func (d *Driver) readKnocks() (firewall.KnockCounts, error) {
	var c firewall.KnockCounts
	err := d.dump(unix.NFT_MSG_GETOBJ, unix.NFTA_OBJ_TABLE, func(body []byte) {
		n := netlink.Uint64(inside(find(body, unix.NFTA_OBJ_DATA), unix.NFTA_COUNTER_PACKETS))
		switch netlink.String(find(body, unix.NFTA_OBJ_NAME)) {
		case counterPassed:
			c.Passed = n
		case counterLimited:
			c.Limited = n
		case counterGarbage:
			c.Garbage = n
		}
	})
	return c, err
}

func clone(b []byte) []byte { return append([]byte(nil), b...) }

// hasForwards reports whether the table has the sets that readTraffic reads, as we make them.
func (t kernelTable) hasForwards() bool {
	for _, f := range families(128) {
		for _, set := range []string{f.up, f.down} {
			if t.sets[set].keyLen != f.liveLen {
				return false
			}
		}
	}
	return true
}
