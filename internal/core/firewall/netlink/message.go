package netlink

import (
	"encoding/binary"
	"iter"
	"slices"
)

const headerLen = 16 // struct nlmsghdr

// nested marks an attribute that holds attributes (NLA_F_NESTED); the two top bits of a
// type are flags.
const (
	nested   = 1 << 15
	typeMask = 1<<14 - 1
)

// Message builds one or more netlink messages in one buffer, in the layout of
// linux/netlink.h. Attribute values are in network byte order, as nfnetlink wants them.
// The zero value is empty and ready.
//
// What is called in many places has //go:noinline: inlined where it is called it makes 80 KB.
type Message struct {
	b     []byte
	start int // of the message being built
	count int
}

// Begin starts a message; what is appended until the next Begin belongs to it. Flags are
// the NLM_F_ constants; NLM_F_REQUEST is always added.
//
//go:noinline
func (m *Message) Begin(kind, flags uint16) {
	m.finish()
	m.start = len(m.b)
	m.count++
	m.b = append(m.b, make([]byte, headerLen)...)
	h := m.b[m.start:]
	binary.NativeEndian.PutUint16(h[4:], kind)
	binary.NativeEndian.PutUint16(h[6:], flags|1)
}

// finish writes the length of the message being built.
func (m *Message) finish() {
	if m.count > 0 {
		binary.NativeEndian.PutUint32(m.b[m.start:], uint32(len(m.b)-m.start))
	}
}

// bytes completes the buffer, numbers the messages from seq+1 on, and returns it with the
// number of the last.
func (m *Message) bytes(seq uint32) ([]byte, uint32) {
	m.finish()
	for b := m.b; len(b) >= headerLen; {
		seq++
		binary.NativeEndian.PutUint32(b[8:], seq)
		n := align(int(binary.NativeEndian.Uint32(b)))
		if n >= len(b) {
			break
		}
		b = b[n:]
	}
	return m.b, seq
}

// Ack asks for an acknowledgement of the message being built.
func (m *Message) Ack() {
	const ack = 4 // NLM_F_ACK
	h := m.b[m.start+6:]
	binary.NativeEndian.PutUint16(h, binary.NativeEndian.Uint16(h)|ack)
}

// Grow makes room for n more bytes at once.
func (m *Message) Grow(n int) { m.b = slices.Grow(m.b, n) }

// Len returns the size of what was built so far, in bytes.
func (m *Message) Len() int { return len(m.b) }

// Size returns the size of the message being built, in bytes.
func (m *Message) Size() int { return len(m.b) - m.start }

// Raw appends bytes that are no attribute, padded to four.
//
//go:noinline
func (m *Message) Raw(b ...byte) {
	m.b = append(m.b, b...)
	m.pad()
}

func (m *Message) pad() {
	for len(m.b)%4 != 0 {
		m.b = append(m.b, 0)
	}
}

func (m *Message) head(kind uint16, n int) {
	m.b = binary.NativeEndian.AppendUint16(m.b, uint16(4+n))
	m.b = binary.NativeEndian.AppendUint16(m.b, kind)
}

// Bytes appends an attribute.
//
//go:noinline
func (m *Message) Bytes(kind uint16, v []byte) {
	m.head(kind, len(v))
	m.b = append(m.b, v...)
	m.pad()
}

// Nested appends an attribute whose value is attributes made elsewhere.
func (m *Message) Nested(kind uint16, v []byte) { m.Bytes(kind|nested, v) }

// String appends text with the zero byte that ends it.
//
//go:noinline
func (m *Message) String(kind uint16, v string) {
	m.head(kind, len(v)+1)
	m.b = append(append(m.b, v...), 0)
	m.pad()
}

// Uint8 appends one byte.
func (m *Message) Uint8(kind uint16, v uint8) {
	m.head(kind, 1)
	m.b = append(m.b, v, 0, 0, 0)
}

// Uint16 appends a number of 16 bits.
func (m *Message) Uint16(kind, v uint16) {
	m.head(kind, 2)
	m.b = append(binary.BigEndian.AppendUint16(m.b, v), 0, 0)
}

// Uint32 appends a number of 32 bits.
//
//go:noinline
func (m *Message) Uint32(kind uint16, v uint32) {
	m.head(kind, 4)
	m.b = binary.BigEndian.AppendUint32(m.b, v)
}

// Uint64 appends a number of 64 bits.
func (m *Message) Uint64(kind uint16, v uint64) {
	m.head(kind, 8)
	m.b = binary.BigEndian.AppendUint64(m.b, v)
}

// Open starts an attribute that holds what is appended until Close is called with the
// number that Open returns. It may hold up to 65,531 bytes.
func (m *Message) Open(kind uint16) int {
	at := len(m.b)
	m.head(kind|nested, 0)
	return at
}

// Close ends the attribute that Open started.
//
//go:noinline
func (m *Message) Close(at int) {
	binary.NativeEndian.PutUint16(m.b[at:], uint16(len(m.b)-at))
}

func align(n int) int { return (n + 3) &^ 3 }

// Attributes walks over the attributes in b: their types without flags, and their values,
// which are parts of b. A malformed rest ends the walk.
func Attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= 4 {
			n := int(binary.NativeEndian.Uint16(b))
			if n < 4 || n > len(b) {
				return
			}
			if !yield(binary.NativeEndian.Uint16(b[2:])&typeMask, b[4:n]) {
				return
			}
			b = b[min(align(n), len(b)):]
		}
	}
}

// Uint32 reads a number in network byte order from an attribute's value; 0 when the value
// is too short.
func Uint32(v []byte) uint32 {
	if len(v) < 4 {
		return 0
	}
	return binary.BigEndian.Uint32(v)
}

// Uint64 reads a number in network byte order from an attribute's value; 0 when the value
// is too short.
func Uint64(v []byte) uint64 {
	if len(v) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(v)
}

// String reads text from an attribute's value, without the zero byte that ends it.
func String(v []byte) string {
	for i, c := range v {
		if c == 0 {
			return string(v[:i])
		}
	}
	return string(v)
}
