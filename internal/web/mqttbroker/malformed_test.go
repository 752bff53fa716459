package mqttbroker

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/ownline/ownline/internal/ownline"
)

// book is a log that may be read while it is written.
type book struct {
	mu  sync.Mutex
	all bytes.Buffer
}

// Write notes.
func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

// cut is a SUBSCRIBE of MQTT 5 that ends before the options of its filter.
var cut = []byte{0x82, 6, 0, 1, 0, 0, 1, 'a'}

// A packet that makes the library panic ends a connection, and is one line of the log however
// often it is sent. Who has not said who they are is not read so far.
func TestMalformed(t *testing.T) {
	w := newWorld(t, nil)
	log := new(book)
	w.broker.o.Log = slog.New(slog.NewTextHandler(log, nil))
	stranger := w.dial()
	stranger.send(cut)
	if !stranger.ended() {
		t.Error("a stranger is listened to")
	}
	if n := w.broker.Counts(); n.Refused[malformed] > 0 {
		t.Errorf("a stranger made the library panic: %+v", n)
	}
	const times = 5
	for range times {
		r := w.raw5(w.a.String(), password(t, 1))
		r.send(cut)
		if !r.ended() {
			t.Error("it goes on")
		}
		r.conn.Close()
	}
	w.until("all are counted", func() bool { return w.broker.Counts().Refused[malformed] == times })
	if said := log.String(); strings.Count(said, "\n") != 1 || len(said) > 400 || strings.Contains(said, "goroutine") || !strings.Contains(said, "level=WARN") {
		t.Errorf("the log says\n%s", said)
	}
}

// raw5 speaks MQTT 5 by the byte.
func (w *world) raw5(name string, password ownline.Secret) raw {
	w.t.Helper()
	r := w.dial()
	body := []byte{0, 4, 'M', 'Q', 'T', 'T', 5, 0xc2, 0, 60, 0}
	for _, s := range []string{"", name, string(password)} {
		body = append(append(body, 0, byte(len(s))), s...)
	}
	r.send(append([]byte{0x10, byte(len(body))}, body...))
	head := r.read(2)
	if got := r.read(int(head[1])); head[0] != 0x20 || got[1] != 0 {
		w.t.Fatalf("welcomed by % x % x", head, got)
	}
	return r
}
