package proxytest

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/ownline/ownline/internal/ownline"
)

// Soak returns how large a test is: as large as what is promised when there is time for it, with
// OWNLINE_SOAK, as `make soak` has it; else short.
func Soak[T any](short, promised T) T {
	if os.Getenv("OWNLINE_SOAK") != "" {
		return promised
	}
	return short
}

// Load holds a driver to what every driver promises with many clients and large bodies. It makes
// a new world for each part, as Contract does.
func Load(t *testing.T, run func(t *testing.T, test func(t *testing.T, w World))) {
	hold(t, run, []promise{
		{"many websockets end with their session", (*part).manyWebSockets},
		{"bodies of any size take no memory", (*part).bodies},
		{"slow clients keep nobody from an answer", (*part).slow},
		{"a slow client is sent away", (*part).sentAway},
		{"a pause ends nothing", (*part).pauses},
	})
}

// manyWebSockets are open at once, each answers, and all end with the session.
func (p *part) manyWebSockets() {
	many := Soak(150, 1000)
	p.serve("a", StartHTTP(p, p.Inside, "a", nil, false).Addr, ownline.ProxyOptions{})
	var (
		opening, saying, ending sync.WaitGroup
		failed                  atomic.Int64
		turn                    = make(chan struct{}, 32)
		open                    = make([]*websocket.Conn, many)
	)
	each := func(over *sync.WaitGroup, what string, do func(i int) error) {
		for i := range many {
			over.Go(func() {
				if err := do(i); err != nil && failed.Add(1) <= 5 {
					p.Logf("websocket %d, %s: %v", i, what, err)
				}
			})
		}
		over.Wait()
		if n := failed.Swap(0); n > 0 {
			p.Fatalf("%d of %d websockets failed: %s", n, many, what)
		}
	}
	p.Cleanup(func() {
		for _, c := range open {
			if c != nil {
				c.Close()
			}
		}
	})
	each(&opening, "opening", func(i int) (err error) {
		turn <- struct{}{}
		defer func() { <-turn }()
		open[i], err = p.WebSocket(p.Context(), p.Client, "a")
		return err
	})
	each(&saying, "an echo", func(i int) error { // all are open
		var err error
		for range 3 {
			err = errors.Join(err, Bounce(open[i], "hello"))
		}
		return err
	})
	p.Door.Shut(ID("a"), p.Client)
	each(&ending, "the end", func(i int) error {
		open[i].SetReadDeadline(time.Now().Add(20 * time.Second))
		_, _, err := open[i].ReadMessage()
		if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			return errors.New("goes on after the session's end")
		}
		return nil
	})
}

// bodies pass through, and none of them stays.
func (p *part) bodies() {
	const most = 32 << 20
	size := Soak[int64](48<<20, 2<<30)
	s := StartHTTP(p, p.Inside, "a", nil, false)
	p.serve("a", s.Addr, ownline.ProxyOptions{})
	p.both(p.Client, func(p *part, c *http.Client) {
		c.Timeout = 0
		n := strconv.FormatInt(size, 10)
		download := func() (*http.Response, error) { return c.Get(p.URL("a", "/big?n="+n)) }
		upload := func() (*http.Response, error) {
			return c.Post(p.URL("a", "/upload"), "application/octet-stream", io.LimitReader(zeros{}, size))
		}
		if warm, err := c.Get(p.URL("a", "/big?n=10000000")); err != nil {
			p.Fatal(err)
		} else {
			io.Copy(io.Discard, warm.Body)
			warm.Body.Close()
		}
		for what, ask := range map[string]func() (*http.Response, error){"download": download, "upload": upload} {
			began, before := time.Now(), p.Memory()
			top := highest(p, p.Memory)
			resp, err := ask()
			if err != nil {
				p.Fatalf("%s: %v", what, err)
			}
			var first [32]byte
			head, _ := io.ReadFull(resp.Body, first[:])
			rest, err := io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			grown := top() - before
			if err != nil || resp.StatusCode != 200 || what == "download" && int64(head)+rest != size || what == "upload" && string(first[:head]) != n+" " {
				p.Errorf("%s: %s, %q and %d bytes, %v", what, resp.Status, first[:head], rest, err)
			}
			if grown > most {
				p.Errorf("%s of %d MB: the proxy's memory grew by %d MB", what, size>>20, grown>>20)
			}
			p.Logf("%s of %d MB in %s: memory of %.1f MB grew by %.1f", what, size>>20, time.Since(began).Round(time.Millisecond), float64(before)/(1<<20), float64(grown)/(1<<20))
		}
	})
}

// highest returns a function that ends a watch, and tells what was the most since.
func highest(t testing.TB, now func() int64) func() int64 {
	var (
		most int64
		stop = make(chan struct{})
		once sync.Once
		over sync.WaitGroup
	)
	over.Go(func() {
		for {
			most = max(most, now())
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	end := func() int64 {
		once.Do(func() { close(stop) })
		over.Wait()
		return most
	}
	t.Cleanup(func() { end() })
	return end
}

// slow are clients that never finish what they begin.
func (p *part) slow() {
	many := Soak(200, 2000)
	p.serve("a", StartHTTP(p, p.Inside, "a", nil, false).Addr, ownline.ProxyOptions{})
	conns := make([]net.Conn, many)
	p.Cleanup(func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	})
	for i := range conns {
		c, err := p.Dial(p.Context(), p.Client)
		if err != nil {
			p.Fatal(err)
		}
		conns[i] = c
		if i%2 == 0 { // not even a hello
			c.Write([]byte{22, 3, 1})
			continue
		}
		s := tls.Client(c, p.TLS("a", "http/1.1"))
		if err := s.HandshakeContext(p.Context()); err != nil {
			p.Fatal(err)
		}
		io.WriteString(s, "GET / HTTP/1.1\r\nHost: "+p.Settings.Host("a")+"\r\nX-Slow: ")
	}
	p.both(p.Client, func(p *part, c *http.Client) {
		c.Timeout = 8 * time.Second // slow ones are sent away after 10
		if resp, got := p.get(c, p.URL("a", "/big?n=100")); resp.StatusCode != 200 || len(got) != 100 {
			p.Errorf("with %d slow ones: %s", many, resp.Status)
		}
	})
}

// sentAway: who sends a byte now and then, or nothing at all, is there no more after a while.
func (p *part) sentAway() {
	p.serve("a", StartHTTP(p, p.Inside, "a", nil, false).Addr, ownline.ProxyOptions{})
	silent, err := p.Dial(p.Context(), p.Client)
	if err != nil {
		p.Fatal(err)
	}
	defer silent.Close()
	slow, _, err := p.hello(p.Client, "a", "http/1.1")
	if err != nil {
		p.Fatal(err)
	}
	var over sync.WaitGroup
	defer over.Wait()
	defer slow.NetConn().Close()
	over.Go(func() {
		for err := error(nil); err == nil; time.Sleep(100 * time.Millisecond) {
			_, err = io.WriteString(slow, "G")
		}
	})
	begin := time.Now()
	slow.SetReadDeadline(begin.Add(40 * time.Second))
	if b, err := io.ReadAll(slow); errors.Is(err, os.ErrDeadlineExceeded) || strings.Contains(string(b), " 200 ") {
		p.Errorf("a slow one is still there: %.80q", b)
	}
	silent.SetReadDeadline(begin.Add(40 * time.Second))
	if _, err := silent.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		p.Error("a silent one is still there")
	}
	if took := time.Since(begin); took < 5*time.Second {
		p.Errorf("sent away after %s", took)
	}
}

// pauses are longer than what servers wait for by default, which is a minute.
func (p *part) pauses() {
	pause := Soak(time.Second, 75*time.Second)
	p.serve("a", StartHTTP(p, p.Inside, "a", nil, false).Addr, ownline.ProxyOptions{})
	ws := p.webSocket(p.Client, "a")
	var over sync.WaitGroup
	defer over.Wait()
	for _, two := range []bool{false, true} {
		c := p.Browser(p, p.Client, two)
		c.Timeout = 0
		over.Go(func() {
			slowly, body := io.Pipe()
			over.Go(func() {
				body.Write(make([]byte, 1000))
				time.Sleep(pause)
				body.Write(make([]byte, 1000))
				body.Close()
			})
			if resp, got, err := p.do(c, "POST", p.URL("a", "/upload"), slowly, nil); err != nil || got != "2000 " {
				p.Errorf("an upload that pauses, HTTP/2: %v: %v, %q, %v", two, resp, got, err)
			}
		})
		over.Go(func() {
			if _, got, err := p.do(c, "GET", p.URL("a", "/wait?for="+pause.String()), nil, nil); err != nil || got != "done" {
				p.Errorf("an answer that is waited for, HTTP/2: %v: %q, %v", two, got, err)
			}
		})
		over.Go(func() {
			const size = 64 << 20 // more than fits between the two
			resp, err := c.Get(p.URL("a", "/big?n="+strconv.Itoa(size)))
			if err != nil {
				p.Errorf("a download: %v", err)
				return
			}
			defer resp.Body.Close()
			time.Sleep(pause)
			if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
				p.Errorf("a download that pauses, HTTP/2: %v: %d bytes, %v", two, n, err)
			}
		})
	}
	time.Sleep(pause)
	p.bounces(ws)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
