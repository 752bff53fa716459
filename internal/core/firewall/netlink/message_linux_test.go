package netlink

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func TestMessage(t *testing.T) {
	var m Message
	m.Begin(7, 0x400)
	m.Raw(1, 2)
	m.Uint8(1, 9)
	m.Uint16(2, 0x0102)
	m.Uint32(3, 0x01020304)
	m.Uint64(4, 0x0102030405060708)
	m.String(5, "abc")
	outer := m.Open(6)
	m.Bytes(1, []byte{1, 2, 3, 4, 5})
	m.Close(outer)
	m.Ack()
	m.Begin(8, 0)
	b, last := m.bytes(41)

	if last != 43 {
		t.Errorf("the last message is number %d, want 43", last)
	}
	type got struct{ kind, flags, seq uint32 }
	var all []got
	var body []byte
	for h, v := range messages(b) {
		all = append(all, got{uint32(h.kind), uint32(h.flags), h.seq})
		if h.kind == 7 {
			body = v
		}
	}
	if len(all) != 2 || all[0] != (got{7, 0x405, 42}) || all[1] != (got{8, 1, 43}) {
		t.Errorf("messages %+v", all)
	}
	want := map[uint16][]byte{
		1: {9}, 2: {1, 2}, 3: {1, 2, 3, 4}, 4: {1, 2, 3, 4, 5, 6, 7, 8}, 5: []byte("abc\x00"), 6: nil,
	}
	n := 0
	for kind, v := range Attributes(body[4:]) {
		n++
		switch kind {
		case 4:
			if Uint64(v) != 0x0102030405060708 {
				t.Errorf("read %x", Uint64(v))
			}
		case 5:
			if String(v) != "abc" {
				t.Errorf("read %q", String(v))
			}
		case 6:
			for kind, v := range Attributes(v) {
				if kind != 1 || !bytes.Equal(v, []byte{1, 2, 3, 4, 5}) {
					t.Errorf("nested %d: %v", kind, v)
				}
			}
			continue
		}
		if !bytes.Equal(v, want[kind]) {
			t.Errorf("attribute %d is %v, want %v", kind, v, want[kind])
		}
	}
	if n != len(want) {
		t.Errorf("%d attributes, want %d", n, len(want))
	}
	if Uint32([]byte{1}) != 0 || Uint64(nil) != 0 || String([]byte("x")) != "x" {
		t.Error("short values are not read as nothing")
	}
}

// Whatever comes from a socket, reading it does not panic and does not invent bytes.
func FuzzMessages(f *testing.F) {
	var m Message
	m.Begin(2, 0)
	m.Raw(0xff, 0xff, 0xff, 0xff)
	m.String(1, "no such thing")
	b, _ := m.bytes(0)
	f.Add(b)
	f.Add(binary.NativeEndian.AppendUint32(nil, 0xffffffff))
	f.Fuzz(func(t *testing.T, b []byte) {
		total := 0
		for h, body := range messages(b) {
			total += headerLen
			h.kind, h.flags = 2, 0x300
			_ = errorOf(h, body)
			for _, v := range Attributes(body) {
				total += 4 + len(v)
				_, _, _ = Uint32(v), Uint64(v), String(v)
			}
		}
		if total > len(b) {
			t.Errorf("%d bytes came out of %d", total, len(b))
		}
	})
}
