package flows

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
)

// attribute is one of netlink's.
func attribute(kind uint16, value ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	b = append(binary.NativeEndian.AppendUint16(b, kind), value...)
	return append(b, make([]byte, -len(b)&3)...)
}

// told is what the kernel sends of a connection over UDP: where it is from, by which kind of attribute, to which port,
// and what else there is to it.
func told(kind uint16, source netip.Addr, port []byte, more ...[]byte) []byte {
	ip := attribute(ctaTupleIP, attribute(kind, source.AsSlice()...)...)
	proto := attribute(ctaTupleProto, append(attribute(ctaProtoNum, protoUDP), attribute(ctaProtoDstPort, port...)...)...)
	body := append([]byte{2, 0, 0, 0}, attribute(ctaTupleOrig, append(ip, proto...)...)...)
	return append(body, slices.Concat(more...)...)
}

var (
	four = netip.MustParseAddr("203.0.113.24")
	six  = netip.MustParseAddr("2001:db8:7:1::24")
	port = []byte{0x4f, 0xdb} // 20443
	ours = append(make([]byte, LabelByte), LabelBit, 0, 0, 0, 0, 0, 0)
)

func TestFlow(t *testing.T) {
	plain, ok := parseFlow(told(ctaIPv6Src, six, port))
	if !ok || plain.source != six || plain.proto != protoUDP || plain.port != 20443 || plain.labelled() || plain.marked() {
		t.Errorf("%v %+v", ok, plain)
	}
	theirs := bytes.Repeat([]byte{0xff &^ LabelBit}, 16)
	other, ok := parseFlow(told(ctaIPv4Src, four, port, attribute(ctaLabels, theirs...), attribute(ctaMark, 0xdf, 0xff, 0xff, 0xff)))
	if !ok || other.source != four || other.labelled() || other.marked() {
		t.Errorf("with all bits but ours: %v %+v", ok, other)
	}
	one, ok := parseFlow(told(ctaIPv4Src, four, port, attribute(ctaLabels, ours...), attribute(ctaMark, 0x20, 0, 0, 1), attribute(ctaID, 1, 2, 3, 4), attribute(ctaZone, 0, 7)))
	if !ok || !one.labelled() || !one.marked() || !bytes.Equal(one.id, []byte{1, 2, 3, 4}) || !bytes.Equal(one.zone, []byte{0, 7}) {
		t.Errorf("ours: %v %+v", ok, one)
	}
}

// What the kernel sends is read without panic, whatever it is, and what was read of a connection is in its tuple,
// by which the kernel finds it again.
func FuzzFlow(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{2, 0, 0, 0, 12, 0, 1, 0x80, 8, 0, 1, 0x80, 4, 0, 1, 0})
	f.Add(told(ctaIPv4Src, four, port, attribute(ctaLabels, ours...)))
	f.Add(told(ctaIPv6Src, six, port, attribute(ctaMark, 0x20, 0, 0, 0)))
	f.Add(told(ctaIPv4Src, four, port[:1]))
	f.Add(told(ctaIPv4Src, six, port))
	f.Add(told(ctaIPv4Src, four, port, attribute(ctaLabels, ours[:LabelByte]...), attribute(ctaMark, 1)))
	f.Fuzz(func(t *testing.T, b []byte) {
		flow, ok := parseFlow(b)
		if !ok {
			return
		}
		_, _ = flow.labelled(), flow.marked()
		again, ok := parseFlow(append([]byte{2, 0, 0, 0}, attribute(ctaTupleOrig, flow.tuple...)...))
		if !ok || !flow.source.IsValid() || again.source != flow.source || again.proto != flow.proto || again.port != flow.port {
			t.Errorf("%+v, and by its tuple %v %+v", flow, ok, again)
		}
	})
}
