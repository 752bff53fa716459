package e2e

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/proxy/proxytest"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

// A real core keeps nothing of what passes through, whatever its driver. What the servers of
// others take is measured in the tests of their drivers.
func TestProxyMemory(t *testing.T) {
	const most = 32 << 20
	size := proxytest.Soak[int64](64<<20, 2<<30)
	for _, name := range proxytest.Soak([]string{"embedded"}, slices.Sorted(maps.Keys(fronts))) {
		t.Run(name, func(t *testing.T) {
			f := fronts[name](t)
			s := start(t, world.Options{CoreYAML: f.core})
			if f.start != nil {
				f.start(s)
			}
			id, err := s.AddProxied(t.Context(), "cloud", bed.HTTPPort)
			if err != nil {
				t.Fatal(err)
			}
			s.open(id, s.Bed.Client1.IPv4, 30*time.Minute, 0)
			browser := s.browser(s.Bed.Client1)
			browser.Timeout = 0
			ask := func(method, path string, body int64) (string, int64) {
				t.Helper()
				r, err := http.NewRequestWithContext(t.Context(), method, world.URL("cloud", path), io.LimitReader(zeros{}, body))
				if err != nil {
					t.Fatal(err)
				}
				r.ContentLength = body
				resp, err := browser.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				var head [16]byte
				n, _ := io.ReadFull(resp.Body, head[:])
				rest, err := io.Copy(io.Discard, resp.Body)
				if err != nil || resp.StatusCode != http.StatusOK {
					t.Errorf("%s %s: %s, %v", method, path, resp.Status, err)
				}
				return string(head[:n]), int64(n) + rest
			}
			eventually(t, patience, "the name is served", func() bool { _, err := get(browser, "cloud", "/"); return err == nil })
			ask("GET", "/stream?bytes=10000000", 0)
			ask("POST", "/sink", 10_000_000)
			before, _, err := s.Core.Memory()
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if _, n := ask("GET", "/stream?bytes="+strconv.FormatInt(size, 10), 0); n != size {
				t.Errorf("%d bytes came", n)
			}
			down := time.Since(began).Round(time.Millisecond)
			if got, _ := ask("POST", "/sink", size); got != strconv.FormatInt(size, 10) {
				t.Errorf("%s bytes arrived", got)
			}
			up := time.Since(began).Round(time.Millisecond) - down
			_, high, err := s.Core.Memory()
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d MB down in %s, up in %s: core had %.1f MB, and %.1f more at most", size>>20, down, up, float64(before)/(1<<20), float64(high-before)/(1<<20))
			if high-before > most {
				t.Errorf("core's memory grew by %d MB", (high-before)>>20)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
