package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/auth"
	"github.com/ownline/ownline/internal/web/sites/coretest"
	"github.com/ownline/ownline/test/freeport"
)

// botAPI plays Telegram's, at a real address. Bots whose token begins with 2 are never
// answered; those with 3 are unknown.
type botAPI struct {
	*httptest.Server
	mu   sync.Mutex
	got  []string
	hung int
}

func newBotAPI(t *testing.T) *botAPI {
	b := &botAPI{}
	release := make(chan struct{})
	b.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var m struct{ Text string }
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		switch {
		case strings.HasPrefix(r.URL.Path, "/bot2:"):
			b.mu.Lock()
			b.hung++
			b.mu.Unlock()
			<-release
		case strings.HasPrefix(r.URL.Path, "/bot3:"):
			rw.WriteHeader(http.StatusUnauthorized)
		default:
			b.mu.Lock()
			b.got = append(b.got, m.Text)
			b.mu.Unlock()
			_, _ = io.WriteString(rw, `{"ok":true,"result":{}}`)
		}
	}))
	t.Cleanup(func() {
		close(release)
		b.CloseClientConnections()
		b.Close()
	})
	return b
}

func (b *botAPI) texts() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.got...)
}

func (b *botAPI) hanging() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.hung > 0
}

func (b *botAPI) url(bot string) ownline.Secret {
	return ownline.Secret("telegram://" + bot + ":hunter2@telegram?chats=5&api=" + b.URL)
}

// A session that is opened through the API is one message, and renewing it, knocking and a
// channel that hangs change nothing about that. Failures are seen by the admin, in the
// audit log and in the events, and no secret shows anywhere.
func TestNewsOfASession(t *testing.T) {
	b := newBotAPI(t)
	core := coretest.Serve(t, coretest.New("token"))
	log := &bytes.Buffer{}
	var mu sync.Mutex
	cfg := config.DefaultWeb()
	cfg.StateDir, cfg.Listen, cfg.Metrics.Listen = t.TempDir(), "127.0.0.1:0", freeport.Addr(t).String()
	cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	cfg.Notify = []config.Channel{{URL: b.url("1"), Events: []string{"session", "device"}}, {Name: "hangs", URL: b.url("2")}, {Name: "wrong", URL: b.url("3"), Events: []string{"session"}}}
	w, err := Open(t.Context(), cfg, slog.New(slog.NewTextHandler(locked{&mu, log}, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}()
	url, stop := serve(t, w, io.Discard)
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	ctx := t.Context()
	root, err := w.Access().AddUser(ctx, access.Command(), access.NewUser{Name: "root", Password: "four words are enough", Role: ownline.Admin})
	if err != nil {
		t.Fatal(err)
	}
	_, token, err := w.auth.AddToken(ctx, auth.Identity{User: root}, "test", []string{ownline.ScopeFull}, time.Time{}, "", auth.Code{})
	if err != nil {
		t.Fatal(err)
	}
	site, err := w.Access().PairSite(ctx, access.Command(), core.Code("token"), "home", "home.example.org")
	if err != nil {
		t.Fatal(err)
	}
	service, err := w.Access().AddService(ctx, access.Command(), access.NewService{Site: site.ID, Name: "ssh", Target4: netip.MustParseAddrPort("192.168.7.10:22")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Access().AddGrant(ctx, access.Command(), access.NewGrant{User: root.ID, Service: service.ID, Automatic: true}); err != nil {
		t.Fatal(err)
	}
	all := &bytes.Buffer{} // that the API has said
	do := func(method, path string, body, into any) int {
		t.Helper()
		j, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(ctx, method, url+"/api/v1"+path, bytes.NewReader(j))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Forwarded-For", "198.51.100.7")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		content, err := io.ReadAll(io.TeeReader(resp.Body, all))
		if err == nil && into != nil {
			err = json.Unmarshal(content, into)
		}
		if err != nil {
			t.Fatalf("%s: %v: %s", path, err, content)
		}
		return resp.StatusCode
	}
	comes := func(what string, f func() bool) {
		t.Helper()
		eventually(t, func() string {
			if f() {
				return ""
			}
			return fmt.Sprintf("%s does not come; Telegram got %q", what, b.texts())
		})
	}
	events := w.Access().Subscribe(access.System(), 0)

	var session struct{ ID string }
	ask := map[string]any{"service": service.ID.String()}
	if got := do("POST", "/sessions", ask, &session); got != 201 && got != 200 {
		t.Fatalf("open: %d", got)
	}
	comes("the message", func() bool { return len(b.texts()) > 0 })
	comes("the hanging request", b.hanging)
	// While a channel hangs, opening and knocking are as quick as ever.
	start := time.Now()
	if got := do("POST", "/sessions", ask, nil); got != 201 && got != 200 {
		t.Fatalf("renew: %d", got)
	}
	d, _, err := w.Access().AddDevice(ctx, access.Actor{User: root, By: access.ByLogin}, access.NewDevice{Site: site.ID, Name: "phone"})
	if err != nil {
		t.Fatal(err)
	}
	comes("the device at core", func() bool { _, ok := core.Devices()[d.ID]; return ok })
	for i := range 3 {
		answer, err := core.Knock(link.Knocked{Device: d.ID, Nonce: append(make([]byte, 11), byte(i)), Made: time.Now(), Source: netip.MustParseAddr("198.51.100.7"), Skew: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-answer:
		case <-time.After(patience):
			t.Fatal("no answer to a knock")
		}
	}
	if took := time.Since(start); took > patience {
		t.Errorf("beside a channel that hangs, this took %s", took)
	}
	comes("the device's enrolment", func() bool { return len(b.texts()) > 1 })
	texts := b.texts()
	first, _, _ := strings.Cut(texts[0], "\n")
	comes("the count of it", func() bool {
		_, counted := fetch(t, "http://"+cfg.Metrics.Listen+"/metrics")
		return strings.Contains(counted, "\n"+`ownline_web_notifications_total{channel="telegram",result="sent"} 2`) &&
			strings.Contains(counted, "\n"+`ownline_web_notifications_total{channel="wrong",result="failed"} 1`)
	})
	if len(texts) != 2 || !strings.HasPrefix(first, "root opened ssh at home from 198.51.100.7, until ") || !strings.HasPrefix(texts[1], "root's device phone at home was enrolled") {
		t.Errorf("got %q", texts)
	}

	var channels struct {
		Items []struct {
			Name, Service, Error string
			Events               []string
			Failing              bool
			Lost, Sent           int
		}
	}
	comes("the failure", func() bool {
		do("GET", "/notifications", nil, &channels)
		return channels.Items[2].Failing
	})
	good, wrong := channels.Items[0], channels.Items[2]
	if good.Name != "telegram" || good.Service != "telegram" || good.Sent != 2 || good.Failing || len(good.Events) != 7 {
		t.Errorf("the good channel is %+v", good)
	}
	if wrong.Name != "wrong" || wrong.Lost != 1 || wrong.Error != "the service answered 401 Unauthorized: the bot's token is not right" {
		t.Errorf("the wrong channel is %+v", wrong)
	}
	var result struct {
		Delivered bool
		Error     string
	}
	if got := do("POST", "/notifications/wrong/test", nil, &result); got != 200 || result.Delivered || result.Error != wrong.Error {
		t.Errorf("test of the wrong: %d %+v", got, result)
	}
	result.Error = ""
	if got := do("POST", "/notifications/telegram/test", nil, &result); got != 200 || !result.Delivered || result.Error != "" {
		t.Errorf("test of the good: %d %+v", got, result)
	}
	if got := do("POST", "/notifications/none/test", nil, nil); got != 404 {
		t.Errorf("test of none: %d", got)
	}
	told, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		ev, err := events.Next(told)
		if err != nil {
			t.Fatalf("no event tells of the failure: %v", err)
		}
		if ch, ok := ev.Resource.(ownline.ChannelInfo); ok {
			if ch.Name != "wrong" || !ch.Failing {
				t.Errorf("the event tells of %+v", ch)
			}
			break
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(log.String(), "news could not be told and is given up") {
		t.Error("the log does not tell of the failure")
	}
	if strings.Contains(all.String(), "hunter2") || strings.Contains(log.String(), "hunter2") {
		t.Error("a secret shows in the log or the API")
	}
}

type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// A bad channel keeps the server from starting, and a check finds it.
func TestBadChannel(t *testing.T) {
	cfg := config.DefaultWeb()
	cfg.StateDir = t.TempDir()
	cfg.Notify = []config.Channel{{URL: ownline.Secret("telegram://hunter2")}}
	for name, err := range map[string]error{"open": func() error { _, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler)); return err }(), "check": Check(cfg)} {
		if err == nil || !strings.HasPrefix(err.Error(), "notify[0].url: ") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
