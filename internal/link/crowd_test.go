package link

import (
	"context"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// Invariant 1: no slow-down that a stranger can cause for somebody else.
func TestCrowd(t *testing.T) {
	c := newCrowd()
	from := func(s string) net.Addr {
		a, err := net.ResolveTCPAddr("tcp", s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	var leave func()
	for i := range crowdPerSource {
		var ok bool
		if leave, ok = c.enter(from("198.51.100.7:1")); !ok {
			t.Fatalf("no room for connection %d", i)
		}
	}
	if _, ok := c.enter(from("198.51.100.7:2")); ok {
		t.Error("one source takes every place")
	}
	if _, ok := c.enter(from("198.51.100.8:1")); !ok {
		t.Error("no room for another source")
	}
	leave()
	if _, ok := c.enter(from("198.51.100.7:3")); !ok {
		t.Error("no room after somebody left")
	}
	for range crowdPerSource {
		c.enter(from("[2001:db8::1]:1"))
	}
	if _, ok := c.enter(from("[2001:db8::2]:1")); ok {
		t.Error("a neighbour in the same /64 counts as another source")
	}
}

// A core that dials gets in although a stranger holds all the connections it can.
func TestDoorIsHeld(t *testing.T) {
	core, coreID, webID := &fakeCore{events: make(chan Event)}, identity(t), identity(t)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	l := listen(t)
	door := NewDoor(webID, slog.New(slog.DiscardHandler))
	wg.Go(func() { door.Serve(ctx, l) })
	for range 200 {
		// The stranger is at another loopback address than core.
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
		conn, err := d.DialContext(ctx, "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	server := NewServer(coreID, core, slog.New(slog.DiscardHandler))
	wg.Go(func() { server.Dial(ctx, l.Addr().String()) })
	c := door.NewClient(coreID.Pin())
	defer c.Close()
	within, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	if _, err := c.Pair(within, "token"); err != nil {
		t.Errorf("Pair = %v", err)
	}
}

// Invariant 11: what strangers send does not grow memory.
func TestPairIsSmall(t *testing.T) {
	_, c, _, _ := connect(t, "web")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	body := io.MultiReader(strings.NewReader(`{"token":"`), io.LimitReader(endless{}, 32<<20), strings.NewReader(`"}`))
	if resp, err := c.do(t.Context(), "POST", "/v1/pair", body); err == nil {
		resp.Body.Close()
		t.Error("a pairing request of 32 MB was taken")
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("it cost %d bytes of memory", grown)
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'A'
	}
	return len(b), nil
}
