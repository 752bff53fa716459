package embedded_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/proxy/proxytest"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// soakVariable makes these tests as large as their promises.
const soakVariable = "OWNLINE_SOAK"

func soak[T any](short, long T) T {
	if os.Getenv(soakVariable) != "" {
		return long
	}
	return short
}

// serve makes a proxy that serves "a" to client.
func serve(t testing.TB, o ownline.ProxyOptions, s *proxytest.Service) proxytest.World {
	t.Helper()
	w := world(t)
	id := proxytest.ID("a")
	if err := w.Driver.Apply(t.Context(), []link.Service{{ID: id, Name: "a", Target4: s.Addr, Options: o}}); err != nil {
		t.Fatal(err)
	}
	w.Door.Open(id, client)
	return w
}

// A thousand WebSockets are open at once, each answers, and all end with the session.
func TestManyWebSockets(t *testing.T) {
	const many = 1000
	w := serve(t, ownline.ProxyOptions{}, proxytest.StartHTTP(t, inside, "a", nil, false))
	var (
		ready, said, over sync.WaitGroup
		failed            atomic.Int64
		turn              = make(chan struct{}, 32)
		shut              = make(chan struct{})
	)
	for range many {
		ready.Add(1)
		said.Add(1)
		over.Go(func() {
			turn <- struct{}{}
			c, err := w.WebSocket(t.Context(), client, "a")
			<-turn
			if err != nil {
				t.Log(err)
				failed.Add(1)
				ready.Done()
				said.Done()
				return
			}
			defer c.Close()
			ready.Done()
			ready.Wait() // all are open
			for range 3 {
				if err := proxytest.Bounce(c, "hello"); err != nil {
					t.Log(err)
					failed.Add(1)
				}
			}
			said.Done()
			<-shut
			c.SetReadDeadline(time.Now().Add(10 * time.Second))
			var timeout net.Error
			if _, _, err := c.ReadMessage(); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
				failed.Add(1)
			}
		})
	}
	said.Wait()
	w.Door.Shut(proxytest.ID("a"), client)
	close(shut)
	over.Wait()
	if n := failed.Load(); n > 0 {
		t.Errorf("%d of %d failed", n, many)
	}
}

// Connections that never finish what they begin keep nobody from an answer.
func TestSlowloris(t *testing.T) {
	many := soak(300, 2000)
	w := serve(t, ownline.ProxyOptions{}, proxytest.StartHTTP(t, inside, "a", nil, false))
	for i := range many {
		c, err := w.Dial(t.Context(), client)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%2 == 0 { // not even a hello
			c.Write([]byte{22, 3, 1})
			continue
		}
		s, err := tlsOver(t, w, c)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(s, "GET / HTTP/1.1\r\nHost: "+w.Settings.Host("a")+"\r\nX-Slow: ")
	}
	for _, two := range []bool{false, true} {
		begin := time.Now()
		resp, err := w.Browser(t, client, two).Get(w.URL("a", "/big?n=100"))
		if err != nil {
			t.Fatalf("with %d slow ones: %v", many, err)
		}
		resp.Body.Close()
		if took := time.Since(begin); resp.StatusCode != 200 || took > 2*time.Second {
			t.Errorf("with %d slow ones: %s in %s", many, resp.Status, took)
		}
	}
}

// A slow one is sent away in the end, and so is who sends nothing at all.
func TestSlowOnesAreSentAway(t *testing.T) {
	w := serve(t, ownline.ProxyOptions{}, proxytest.StartHTTP(t, inside, "a", nil, false))
	silent, err := w.Dial(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	tcp, err := w.Dial(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	slow, err := tlsOver(t, w, tcp)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	go func() {
		for slow != nil { // a byte now and then does not help
			if _, err := io.WriteString(slow, "G"); err != nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	slow.SetReadDeadline(begin.Add(30 * time.Second))
	if _, err := io.ReadAll(slow); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a slow one is still there")
	}
	silent.SetReadDeadline(begin.Add(30 * time.Second))
	if _, err := silent.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a silent one is still there")
	}
	if took := time.Since(begin); took < 5*time.Second {
		t.Errorf("sent away after %s", took)
	}
}

// Bodies of any size pass through in constant memory. The test's own ends are in the same
// process, and small.
func TestConstantMemory(t *testing.T) {
	const most = 32 << 20
	s := proxytest.StartHTTP(t, inside, "a", nil, false)
	w := serve(t, ownline.ProxyOptions{}, s)
	for _, two := range []bool{false, true} {
		size := soak[int64](256<<20, 2<<30)
		if two {
			size = soak[int64](64<<20, 2<<30)
		}
		browser := w.Browser(t, client, two)
		warm, err := browser.Get(w.URL("a", "/big?n=10000000"))
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, warm.Body)
		warm.Body.Close()
		for what, ask := range map[string]func() (*http.Response, error){
			"download": func() (*http.Response, error) { return browser.Get(w.URL("a", "/big?n="+digits(size))) },
			"upload": func() (*http.Response, error) {
				return browser.Post(w.URL("a", "/upload"), "application/octet-stream", io.LimitReader(zeros{}, size))
			},
		} {
			runtime.GC()
			before := heap()
			top := watchHeap(t)
			resp, err := ask()
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			n, err := io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			grown := int64(top()) - int64(before)
			if err != nil || resp.StatusCode != 200 || what == "download" && n != size {
				t.Errorf("%s: %s, %d bytes, %v", what, resp.Status, n, err)
			}
			if grown > most {
				t.Errorf("%s of %d MB (HTTP/2: %v): the heap grew by %d MB", what, size>>20, two, grown>>20)
			}
		}
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

// watchHeap returns a function that tells the largest heap since.
func watchHeap(t *testing.T) func() uint64 {
	t.Helper()
	var (
		top  uint64
		stop = make(chan struct{})
		over sync.WaitGroup
	)
	over.Go(func() {
		for {
			top = max(top, heap())
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	return func() uint64 {
		close(stop)
		over.Wait()
		return top
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
