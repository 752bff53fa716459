package acme_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/proxy/acme"
)

// One certificate for all services, by a record that the admin's program makes.
func TestWildcard(t *testing.T) {
	w := newWorld(t, acme.DNS01, 0)
	var mu sync.Mutex
	var calls []string
	var refuse atomic.Bool
	records := map[string]bool{}
	zone := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		call := strings.Split(string(b), "\n")
		mu.Lock()
		defer mu.Unlock()
		if !known(w.cfg.Domain, call) {
			t.Errorf("the hook was called with %q", call)
		}
		calls = append(calls, call[0])
		if refuse.Load() {
			http.Error(rw, "no", http.StatusForbidden)
			return
		}
		switch name := call[1] + "."; call[0] {
		case "present":
			w.DNS.AddDNSTXTRecord(name, call[2])
			records[call[2]] = true
		case "cleanup":
			w.DNS.DeleteDNSTXTRecord(name)
			delete(records, call[2])
		}
	}))
	defer zone.Close()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w.cfg.Hook = []string{program, "hook", zone.URL}

	refuse.Store(true)
	s, stop := w.start(t)
	within(t, "what the hook says", func() bool {
		return s.Err() != nil && strings.Contains(s.Err().Error(), "exit status 2: the zone is not mine")
	})
	refuse.Store(false)
	within(t, "a certificate", func() bool { return s.Err() == nil })
	first := w.trusted(t, s, "nas."+w.cfg.Domain)
	w.trusted(t, s, "whatever."+w.cfg.Domain)
	for _, name := range []string{"a.b." + w.cfg.Domain, "example.org"} {
		if _, err := w.shake(t, s, name); err == nil {
			t.Errorf("a certificate for %s", name)
		}
	}
	mu.Lock()
	before := len(calls)
	if before < 4 || calls[before-2] != "present" || calls[before-1] != "cleanup" || len(records) > 0 {
		t.Errorf("calls %v leave %d records", calls, len(records))
	}
	mu.Unlock()
	if opened, _ := w.hole.count(); opened > 0 {
		t.Error("a hole for a challenge that needs none")
	}
	stop()

	s, _ = w.start(t, "nas")
	within(t, "the stored certificate", func() bool { return s.Err() == nil })
	if !w.trusted(t, s, "nas."+w.cfg.Domain).Equal(first) {
		t.Error("another certificate after a restart")
	}
	mu.Lock()
	defer mu.Unlock()
	if len(calls) != before {
		t.Errorf("the hook was called after a restart: %v", calls[before:])
	}
}

// A hook that hangs ends with Run, and all that it has started with it.
func TestHookHangs(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell")
	}
	w := newWorld(t, acme.DNS01, 0)
	dir := t.TempDir()
	script, alive := filepath.Join(dir, "hook"), filepath.Join(dir, "alive")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(script, `#!/bin/sh
[ "$2" = present ] || exit 0
(while :; do echo x >> "$1"; sleep 0.05; done) &
wait
`)
	w.cfg.Hook = []string{script, alive}
	_, stop := w.start(t)
	size := func() int64 {
		i, err := os.Stat(alive)
		if err != nil {
			return 0
		}
		return i.Size()
	}
	within(t, "the hook's child at work", func() bool { return size() > 0 })
	stop()
	// What works on would write twenty times in that second.
	last := size()
	time.Sleep(time.Second)
	if size() != last {
		t.Error("the hook's child works on")
	}
}

// TestMain is also the hook's program: it tells the test, which has the DNS server, what it
// was asked, and fails if the test says so.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "hook" {
		for _, e := range os.Environ() {
			if !strings.HasPrefix(e, "PATH=") {
				fmt.Fprintln(os.Stderr, "an environment variable:", e)
				os.Exit(3)
			}
		}
		r, err := http.Post(os.Args[2], "text/plain", strings.NewReader(strings.Join(os.Args[3:], "\n")))
		if err != nil || r.StatusCode != http.StatusOK {
			fmt.Fprintf(os.Stderr, "several lines\nthe zone is\tnot mine (%v)\n", err)
			os.Exit(2)
		}
		os.Exit(0)
	}
	if err := os.Setenv("SECRET", "not for hooks"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

var kinds = []string{"present", "cleanup"}

func known(domain string, call []string) bool {
	return len(call) == 3 && slices.Contains(kinds, call[0]) && call[1] == "_acme-challenge."+domain && len(call[2]) == 43
}
