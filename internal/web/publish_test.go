package web

import (
	"bytes"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/sites/coretest"
	"github.com/ownline/ownline/internal/web/store"
	"github.com/ownline/ownline/internal/web/store/storetest"
)

// lines is a log that can be read while it is written.
type lines struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A server that is published makes its own service when it starts, and says what is missing.
func TestPublish(t *testing.T) {
	cfg := config.DefaultWeb()
	cfg.StateDir, cfg.Listen = filepath.Join(t.TempDir(), "state"), "127.0.0.1:0"
	if place := storetest.Place(t); store.IsPostgres(place) {
		cfg.Database = ownline.Secret(place)
	}
	core := coretest.Serve(t, coretest.New("token"))
	core.SetProxy(link.Proxy{Driver: "embedded", Domain: "home.example.org", Port: 9999, OK: true})
	w, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Access().PairSite(t.Context(), access.Command(), core.Code("token"), "home", "home.example.org"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}

	served := func() bool {
		ss := core.Services()
		return len(ss) == 1 && ss[0].Name == ownline.OwnService && ss[0].Target4 == cfg.Publish
	}
	cfg.Publish = netip.MustParseAddrPort("192.168.7.5:8080")
	for _, tc := range []struct {
		public string
		proxy  string
		warns  int
	}{{warns: 3}, {public: "https://ownline.home.example.org:9999", proxy: "192.168.7.1/32", warns: 1}} {
		cfg.PublicURL = tc.public
		if tc.proxy != "" {
			cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(tc.proxy)}
		}
		var log lines
		w, err := Open(t.Context(), cfg, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		_, stop := serve(t, w, &bytes.Buffer{})
		for end := time.Now().Add(5 * time.Second); !served() && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		}
		if !served() {
			t.Errorf("core serves %+v", core.Services())
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if n := strings.Count(log.String(), "publish is set"); n != tc.warns {
			t.Errorf("%d warnings, want %d:\n%s", n, tc.warns, log.String())
		}
	}
}
