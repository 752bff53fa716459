package web

import (
	"bufio"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
)

// hostile is a broker that hands web whatever the test likes.
type hostile struct {
	mu   sync.Mutex // guards conn, and writing to it
	conn net.Conn   // the newest that has subscribed; nil: none
}

// serve does what a broker has to, until the connection ends.
func (h *hostile) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		first, err := in.ReadByte()
		if err != nil {
			return
		}
		size, err := binary.ReadUvarint(in) // the same as MQTT's lengths
		if err != nil {
			return
		}
		body := make([]byte, size)
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		var answer []byte
		switch first >> 4 {
		case 1:
			answer = []byte{0x20, 3, 0, 0, 0}
		case 3:
			id := 2 + int(binary.BigEndian.Uint16(body))
			answer = []byte{0x40, 2, body[id], body[id+1]}
		case 8:
			answer = []byte{0x90, 5, body[0], body[1], 0, 1, 1} // for both topics
		case 12:
			answer = []byte{0xd0, 0}
		}
		h.mu.Lock()
		if first>>4 == 8 {
			h.conn = conn
		}
		_, err = conn.Write(answer)
		h.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// push writes to whoever has subscribed, and hangs up if it shall.
func (h *hostile) push(b []byte, hangUp bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conn == nil {
		return false
	}
	_ = h.conn.SetWriteDeadline(time.Now().Add(20 * time.Second))
	_, err := h.conn.Write(b)
	if hangUp || err != nil {
		h.conn.Close()
		h.conn = nil
	}
	return err == nil
}

// published is a PUBLISH packet for the topic of knocks.
func published(flags byte, payload []byte) []byte {
	body := append([]byte{0, byte(len(ownline.DefaultTopic))}, ownline.DefaultTopic...)
	body = append(append(body, 0), payload...)
	return append(binary.AppendUvarint([]byte{0x30 | flags}, uint64(len(body))), body...)
}

// Invariant 2: a broker that repeats, reorders, delays, truncates, bends and floods opens
// nothing that was not knocked for, and nothing twice; web lives on and takes honest knocks.
func TestHostileBroker(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hostile{}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() { h.serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		h.push(nil, true)
		served.Wait()
	})
	p := newParty(t, func(c *config.Web) { c.MQTT.URL = "tcp://" + l.Addr().String() })
	d := p.phone()
	send := func(b []byte, hangUp bool) {
		t.Helper()
		eventually(t, func() string {
			if h.push(b, hangUp) {
				return ""
			}
			return "web does not come back"
		})
	}
	seal := func(n knock.Knock) []byte {
		_, b := d.sealed(n)
		return b
	}
	held := func(source string) bool {
		for _, s := range p.core.Sessions() {
			if s.Source.String() == source+"/32" {
				return true
			}
		}
		return false
	}
	// honest knocks until that opens, as a device does: with pauses.
	honest := func(source string) (last []byte) {
		t.Helper()
		for range 20 {
			last = seal(newKnock(source))
			send(published(0, last), false)
			for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
				if held(source) {
					return last
				}
			}
		}
		t.Fatal("an honest knock opens nothing: " + source)
		return nil
	}
	honest("198.51.100.40") // the device has become known
	counted := honest("198.51.100.41")
	before, revision := len(p.core.Sessions()), p.revision()

	stale := newKnock("198.51.100.61")
	stale.Time = stale.Time.Add(-2 * time.Minute)
	bent := append([]byte(nil), counted...)
	bent[40] ^= 1
	evil := [][]byte{
		published(0, counted), published(0, counted), published(0, counted[:100]), published(0, nil), published(0, bent), published(0, seal(stale)),
		published(0, append(append([]byte(nil), counted...), counted...)), published(0, make([]byte, 100_000)),
		published(1, seal(newKnock("198.51.100.62"))), // retained
	}
	for round := range 60 {
		var out []byte
		for _, i := range rand.Perm(len(evil)) {
			out = append(out, evil[i]...)
		}
		if round%30 == 29 { // in the midst of a packet
			send(out[:len(out)-1], true)
		} else {
			send(out, false)
		}
	}
	honest("198.51.100.43") // comes through behind all that
	if n := len(p.core.Sessions()); n != before+1 || held("198.51.100.61") || held("198.51.100.62") || p.revision() > revision+25 {
		t.Errorf("core holds %d sessions, want %d: %v", n, before+1, p.core.Sessions())
	}
}
