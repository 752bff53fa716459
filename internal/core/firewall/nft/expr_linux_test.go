package nft

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/netlink"
)

// head is the beginning of an attribute.
func head(n, kind uint16) []byte {
	return binary.NativeEndian.AppendUint16(binary.NativeEndian.AppendUint16(nil, n), kind)
}

// Each expression is, byte by byte, what an independent library makes of the same.
func TestExpressions(t *testing.T) {
	type quirk struct{ library, kernel []byte } // where the library is wrong
	tested := map[string]bool{}
	for name, tc := range map[string]struct {
		got   exprs
		want  expr.Any
		quirk quirk
	}{
		"meta":           {got: meta(unix.NFT_META_IIFNAME, 9), want: &expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 9}},
		"ct":             {got: ct(unix.NFT_CT_LABELS, 3), want: &expr.Ct{Key: expr.CtKeyLABELS, Register: 3}},
		"ct set":         {got: ctSet(unix.NFT_CT_MARK, 3), want: &expr.Ct{Key: expr.CtKeyMARK, Register: 3, SourceRegister: true}},
		"payload":        {got: payload(unix.NFT_PAYLOAD_NETWORK_HEADER, 12, 4, 8), want: &expr.Payload{DestRegister: 8, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4}},
		"fib":            {got: fib(unix.NFTA_FIB_F_DADDR, unix.NFT_FIB_RESULT_ADDRTYPE, 2), want: &expr.Fib{Register: 2, FlagDADDR: true, ResultADDRTYPE: true}},
		"immediate":      {got: immediate([]byte{1, 2, 3}, 4), want: &expr.Immediate{Register: 4, Data: []byte{1, 2, 3}}},
		"bitwise":        {got: bitwise(1, []byte{1, 2}, []byte{3, 4}, 2), want: &expr.Bitwise{SourceRegister: 1, DestRegister: 2, Len: 2, Mask: []byte{1, 2}, Xor: []byte{3, 4}}},
		"cmp ==":         {got: cmp(unix.NFT_CMP_EQ, 8, []byte("eth0")), want: &expr.Cmp{Op: expr.CmpOpEq, Register: 8, Data: []byte("eth0")}},
		"cmp !=":         {got: cmp(unix.NFT_CMP_NEQ, 8, []byte{1}), want: &expr.Cmp{Op: expr.CmpOpNeq, Register: 8, Data: []byte{1}}},
		"cmp >=":         {got: cmp(unix.NFT_CMP_GTE, 8, []byte{1}), want: &expr.Cmp{Op: expr.CmpOpGte, Register: 8, Data: []byte{1}}},
		"cmp <=":         {got: cmp(unix.NFT_CMP_LTE, 8, []byte{1}), want: &expr.Cmp{Op: expr.CmpOpLte, Register: 8, Data: []byte{1}}},
		"lookup":         {got: lookup(8, "up4"), want: &expr.Lookup{SourceRegister: 8, SetName: "up4"}},
		"lookup map":     {got: lookupMap(8, "dnat4", 9), want: &expr.Lookup{SourceRegister: 8, DestRegister: 9, IsDestRegSet: true, SetName: "dnat4"}},
		"hash":           {got: hash(9, 7, 100, 8), want: &expr.Hash{SourceRegister: 9, DestRegister: 8, Length: 7, Modulus: 100, Type: expr.HashTypeJenkins}},
		"limit":          {got: limit(20, 40), want: &expr.Limit{Type: expr.LimitTypePkts, Rate: 20, Unit: expr.LimitTimeSecond, Burst: 40}},
		"limit over":     {got: limitOver(20, 40), want: &expr.Limit{Type: expr.LimitTypePkts, Rate: 20, Unit: expr.LimitTimeSecond, Burst: 40, Over: true}},
		"dnat":           {got: dnat(unix.NFPROTO_IPV6, 9, 13), want: &expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV6, RegAddrMin: 9, RegProtoMin: 13, Specified: true}},
		"masq":           {got: masq(), want: &expr.Masq{}},
		"notrack":        {got: notrack(), want: &expr.Notrack{}},
		"reject":         {got: reject(unix.NFT_REJECT_ICMPX_UNREACH, 1), want: &expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_PORT_UNREACH}},
		"objref":         {got: objref(unix.NFT_OBJECT_COUNTER, "abc"), want: &expr.Objref{Type: unix.NFT_OBJECT_COUNTER, Name: "abc"}},
		"verdict drop":   {got: verdict(verdictDrop, ""), want: &expr.Verdict{Kind: expr.VerdictDrop}},
		"verdict accept": {got: verdict(verdictAccept, ""), want: &expr.Verdict{Kind: expr.VerdictAccept}},
		"verdict return": {got: verdict(unix.NFT_RETURN, ""), want: &expr.Verdict{Kind: expr.VerdictReturn}},
		"verdict jump":   {got: verdict(unix.NFT_JUMP, "gate"), want: &expr.Verdict{Kind: expr.VerdictJump, Chain: "gate"}},
		"ct of": {
			got:  ctOf(1, unix.NFT_CT_PROTO_DST, 12),
			want: &expr.Ct{Key: expr.CtKeyPROTODST, Register: 12, Direction: 1},
			// A number of 32 bits, of which the kernel reads the first 8; and its log tells of
			// an attribute of the wrong length.
			quirk: quirk{
				library: append(head(8, unix.NFTA_CT_DIRECTION), 0, 0, 0, 1),
				kernel:  append(head(5, unix.NFTA_CT_DIRECTION), 1, 0, 0, 0),
			},
		},
		"dynset": {
			got: dynset(unix.NFT_DYNSET_OP_UPDATE, 8, "pace", 1500, limitOver(2, 3)),
			want: &expr.Dynset{
				SrcRegKey: 8, SetName: "pace", Operation: unix.NFT_DYNSET_OP_UPDATE, Timeout: 1500 * time.Millisecond,
				Exprs: []expr.Any{&expr.Limit{Type: expr.LimitTypePkts, Rate: 2, Unit: expr.LimitTimeSecond, Burst: 3, Over: true}},
			},
			quirk: quirk{ // attributes, but not marked as such
				library: head(68, unix.NFTA_DYNSET_EXPR),
				kernel:  head(68, unix.NFTA_DYNSET_EXPR|unix.NLA_F_NESTED),
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := expr.Marshal(unix.NFPROTO_INET, tc.want)
			if err != nil {
				t.Fatal(err)
			}
			want := append(head(uint16(4+len(v)), unix.NFTA_LIST_ELEM|unix.NLA_F_NESTED), v...)
			if q := tc.quirk; q.library != nil {
				if n := bytes.Count(want, q.library); n != 1 {
					t.Fatalf("the library's quirk is there %d times; was it mended?", n)
				}
				want = bytes.Replace(want, q.library, q.kernel, 1)
			}
			if !bytes.Equal(tc.got, want) {
				t.Errorf("is   %x,\nwant %x", tc.got, want)
			}
			for _, e := range names(tc.got) {
				tested[e] = true
			}
		})
	}

	if stateRelated != expr.CtStateBitRELATED || stateUntracked != expr.CtStateBitUNTRACKED {
		t.Errorf("bits of ct state: related %#x, untracked %#x", stateRelated, stateUntracked)
	}

	everything := firewall.Settings{WAN: []string{"wan"}, IPv6Prefix: 64, Masquerade: true, KnockPort: 1, KnockLength: 100, Fwknop: firewall.Shape{Port: 2, Min: 3, Max: 4, FirstBits: []firewall.Bits{{Mask: 1, Value: 1}}, Spare: 5}}
	for _, m := range []marking{byLabel, byMark} {
		for _, c := range append(newLayout(everything, m, filterAll).chains, newLayoutElsewhere(everything, m, filterAll).chains...) {
			for _, r := range c.rules {
				for _, e := range names(r.exprs) {
					if !tested[e] {
						t.Errorf("%s in chain %s is compared with nothing", e, c.name)
					}
				}
			}
		}
	}
}

// names reads the names of expressions.
func names(b exprs) []string {
	var all []string
	for _, v := range netlink.Attributes(b) {
		all = append(all, netlink.String(inside(v, unix.NFTA_EXPR_NAME)))
	}
	return all
}
