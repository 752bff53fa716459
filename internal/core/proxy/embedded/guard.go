package embedded

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"

	"golang.org/x/net/http2/hpack"
)

// guard stands between TLS and net/http's HTTP/2, which is laxer than RFC 9113 in one place and
// stricter in another. Headers that belong to a connection (section 8.2.2) end it, where
// net/http would answer 400; settings that come twice in a frame are reduced to the last, where
// net/http would hang up although section 6.5.3 only gives them an order.
type guard struct {
	net.Conn
	fields *hpack.Decoder
	bad    bool   // a field has been seen that may not be
	block  int    // bytes of the header block that is under way
	out    []byte // to be read next
	pass   int    // bytes that come then as they are
	head   [frameHead]byte
	buf    []byte
}

const (
	preface      = len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	frameHead    = 9
	maxFrame     = 16 << 10 // net/http refuses longer ones, as we tell it
	maxSettings  = 100 * 6  // and more settings
	maxBlock     = 4 * maxHead
	dynamicTable = 4096 // as at first; nobody has said anything else

	frameHeaders, frameSettings, frameContinuation = 1, 4, 9
	flagAck, flagEndHeaders, flagPadded            = 1, 4, 8
	flagPriority                                   = 0x20
)

var errFields = errors.New("header fields that HTTP/2 does not allow")

func newGuard(c net.Conn) *guard {
	g := &guard{Conn: c, pass: preface}
	g.fields = hpack.NewDecoder(dynamicTable, g.field)
	g.fields.SetMaxStringLength(maxBlock)
	return g
}

// Read returns what came, frame by frame.
func (g *guard) Read(p []byte) (int, error) {
	for len(p) > 0 {
		if len(g.out) > 0 {
			n := copy(p, g.out)
			g.out = g.out[n:]
			return n, nil
		}
		if g.pass > 0 {
			n, err := g.Conn.Read(p[:min(len(p), g.pass)])
			g.pass -= n
			return n, err
		}
		if err := g.next(); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// next reads the head of a frame, and all of it if it is one to look at.
func (g *guard) next() error {
	if _, err := io.ReadFull(g.Conn, g.head[:]); err != nil {
		return err
	}
	length := int(binary.BigEndian.Uint32(g.head[:4]) >> 8)
	kind, flags := g.head[3], g.head[4]
	look := length <= maxFrame && (kind == frameHeaders || kind == frameContinuation) ||
		length <= maxSettings && length%6 == 0 && kind == frameSettings && flags&flagAck == 0
	if !look {
		g.out, g.pass = g.head[:], length
		return nil
	}
	g.buf = append(g.buf[:0], g.head[:]...)
	g.buf = append(g.buf, make([]byte, length)...)
	payload := g.buf[frameHead:]
	if _, err := io.ReadFull(g.Conn, payload); err != nil {
		return err
	}
	g.out = g.buf
	if kind == frameSettings {
		g.settings(payload)
		return nil
	}
	if kind == frameHeaders {
		g.block = 0
		payload = fragment(payload, flags)
	}
	return g.inspect(payload, flags&flagEndHeaders != 0)
}

// settings keeps the last of each setting.
func (g *guard) settings(payload []byte) {
	kept := payload[:0:0]
	for one := range slices.Chunk(payload, 6) {
		for i := 0; i < len(kept); i += 6 {
			if kept[i] == one[0] && kept[i+1] == one[1] {
				kept = slices.Delete(kept, i, i+6)
				break
			}
		}
		kept = append(kept, one...)
	}
	if len(kept) < len(payload) {
		g.out = append(g.buf[:frameHead], kept...)
		g.out[1], g.out[2] = byte(len(kept)>>8), byte(len(kept))
	}
}

// fragment cuts off what is around a header block; of a frame that is wrong, nothing is left,
// and net/http says so.
func fragment(payload []byte, flags byte) []byte {
	pad := 0
	if flags&flagPadded != 0 && len(payload) > 0 {
		pad, payload = int(payload[0]), payload[1:]
	}
	if flags&flagPriority != 0 {
		payload = payload[min(5, len(payload)):]
	}
	return payload[:max(0, len(payload)-pad)]
}

func (g *guard) inspect(block []byte, last bool) error {
	if g.block += len(block); g.block > maxBlock {
		return errFields
	}
	if _, err := g.fields.Write(block); err != nil {
		return err
	}
	if last {
		if err := g.fields.Close(); err != nil {
			return err
		}
	}
	if g.bad {
		return errFields
	}
	return nil
}

func (g *guard) field(f hpack.HeaderField) {
	switch f.Name {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		g.bad = true
	case "te":
		g.bad = g.bad || f.Value != "trailers"
	}
}
