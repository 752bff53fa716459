package mqttbroker

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// Bounds: on packets, on their number, on connections of one device and of one address, on
// time for a hello; and a client that reads nothing harms nobody.
func TestBounds(t *testing.T) {
	w := newWorld(t, nil)
	t.Run("a large packet", func(t *testing.T) {
		r := w.raw(w.a.String(), password(t, 1), "x")
		r.send([]byte{0x30, 0xff, 0xff, 0xff, 0x7f})
		if !r.ended() {
			t.Error("is waited for")
		}
	})
	t.Run("a flood", func(t *testing.T) {
		r := w.raw(w.a.String(), password(t, 1), "x")
		for range 10 * burst {
			r.send(publish(0, "ownline/knock", "flood"))
		}
		if !r.ended() {
			t.Error("goes on")
		}
		if n := w.broker.Counts(); n.Refused[rate] == 0 || n.Taken > 2*burst {
			t.Errorf("%+v", n)
		}
	})
	t.Run("one device", func(t *testing.T) {
		w.until("it has left", func() bool { return w.broker.Status().Clients == 0 })
		for range perDevice {
			w.raw(w.b.String(), password(t, 2), "x")
		}
		c, _ := w.client("tcp", w.b.String(), password(t, 2), "")
		w.until("no more", func() bool { return w.broker.Counts().Refused[crowded] > 0 && !c.Status().Connected })
	})
	t.Run("deaf clients", func(t *testing.T) {
		r := w.raw(w.a.String(), password(t, 1), "x")
		ask := subscribe(1, answerTopic(1))
		ask[len(ask)-1] = 0 // of quality 0, which no acknowledgement holds up
		r.send(ask)
		r.read(5)
		big := make([]byte, 50_000) // a thousand of them are more than any buffer takes
		began := time.Now()
		for range 1000 {
			if err := w.broker.Publish(t.Context(), answerTopic(1), big); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took > writeTimeout {
			t.Errorf("waits for it: %s", took)
		}
		if atomic.LoadInt64(&w.broker.server.Info.MessagesDropped) == 0 {
			t.Error("the client was not deaf: it has got everything")
		}
	})
	t.Run("one address", func(t *testing.T) {
		var held []net.Conn
		defer func() {
			for _, c := range held {
				c.Close()
			}
		}()
		before := w.broker.Counts().Refused[crowded]
		for range 2 * perAddress {
			c, err := net.Dial("tcp", w.addr)
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, c)
		}
		w.until("most are sent away", func() bool { return w.broker.Counts().Refused[crowded] >= before+perAddress })
		// Those who were there first and have not said who they are make room, also for a device.
		_ = held[0].SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, err := held[0].Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the first is not sent away: %v", err)
		}
		c, _ := w.client("tcp", w.a.String(), password(t, 1), answerTopic(3))
		w.until("a device gets in", func() bool { return c.Status().Connected })
	})
	t.Run("guests", func(t *testing.T) {
		w := newWorld(t, nil)
		for range perGuest {
			w.raw("guest", ownline.Secret("open"), "x")
		}
		before := w.broker.Counts().Refused[crowded]
		g, _ := w.client("tcp", "guest", ownline.Secret("open"), answerTopic(4))
		w.until("one more from there is sent away", func() bool { return w.broker.Counts().Refused[crowded] > before && !g.Status().Connected })
		c, _ := w.client("tcp", w.a.String(), password(t, 1), answerTopic(5))
		w.until("a device from there gets in", func() bool { return c.Status().Connected })
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, 1)}}
		elsewhere, err := d.Dial("tcp", w.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer elsewhere.Close()
		clients := w.broker.Status().Clients
		if _, err := elsewhere.Write(hello("guest", ownline.Secret("open"), "x")); err != nil {
			t.Fatal(err)
		}
		w.until("a guest from elsewhere gets in", func() bool { return w.broker.Status().Clients > clients })
	})
}

// Strangers from many addresses who hold every connection keep no device out, and cost bounded
// memory.
func TestStrangersHoldEverything(t *testing.T) {
	w := newWorld(t, nil)
	known := w.raw(w.b.String(), password(t, 2), "x")
	opened := maxConnections + 300
	if os.Getenv("OWNLINE_SOAK") != "" {
		opened = 10_000
	}
	for i := range opened {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i/50))}}
		c, err := d.Dial("tcp", w.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
	w.broker.mu.Lock()
	held := len(w.broker.lines)
	w.broker.mu.Unlock()
	if held > maxConnections {
		t.Errorf("%d connections are held", held)
	}
	w.raw(w.a.String(), password(t, 1), "x") // gets in at once
	known.send([]byte{0xc0, 0})
	if got := known.read(2); got[0] != 0xd0 {
		t.Errorf("who was in is told % x", got)
	}
}

// What is no MQTT ends, without a word to what is no HTTP.
func TestStrangeClients(t *testing.T) {
	w := newWorld(t, nil)
	for name, hello := range map[string]string{
		"HTTP without WebSocket": "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"HTTP that does not end": "GET /" + strings.Repeat("x", 3*maxPacket),
		"bad HTTP":               "G\r\n\r\n",
		"TLS":                    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"PUBLISH at once":        string(publish(0, "ownline/knock", "x")),
		"MQTT 3.1":               "\x10\x13\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x05abcde",
		"a length without end":   "\x10\xff\xff\xff\xff\xff\xff\xff\xff",
		"CONNECT cut short":      "\x10\x05\x00\x04MQT",
		"CONNECT that lies":      "\x10\x0e\x00\x04MQTT\x05\xc6\x00\x3c\xff\xff\xff\x7f",
	} {
		conn, err := net.Dial("tcp", w.addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		fmt.Fprint(conn, hello)
		said, err := io.ReadAll(conn)
		if isTimeout(err) {
			t.Errorf("%s: is waited for", name)
		}
		if !strings.HasPrefix(hello, "GET") && len(said) > 4 {
			t.Errorf("%s: is told %q", name, said)
		}
		conn.Close()
	}
	if n := w.broker.Counts(); n.Connections > 0 || n.Taken > 0 {
		t.Errorf("%+v", n)
	}
}
