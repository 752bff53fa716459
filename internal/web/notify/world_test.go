package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// secret stands in every URL of these tests, and must show up nowhere else.
const secret = "hunter2"

func TestMain(m *testing.M) {
	http.DefaultClient.Timeout = 2 * time.Second // as main does, but sooner
	os.Exit(m.Run())
}

// nowhere knows no place.
type nowhere struct{}

func (nowhere) Country(netip.Addr) (string, bool)     { return "", false }
func (nowhere) ASN(netip.Addr) (uint32, string, bool) { return 0, "", false }

// desk is where sites are known.
type desk struct {
	mu      sync.Mutex
	sites   []ownline.SiteInfo
	changes []ownline.ChannelInfo
}

func (d *desk) SitesReached(context.Context) ([]ownline.SiteInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]ownline.SiteInfo(nil), d.sites...), nil
}

func (d *desk) ChannelChanged(_ context.Context, c ownline.ChannelInfo) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.changes = append(d.changes, c)
	return nil
}

// takeChanges returns what was told since: "failing: why", or "works".
func (d *desk) takeChanges() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []string
	for _, c := range d.changes {
		if c.Failing {
			out = append(out, "failing: "+c.Error)
		} else {
			out = append(out, "works")
		}
	}
	d.changes = nil
	return strings.Join(out, ", ")
}

// record is a log that several goroutines write.
type record struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(b)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.String()
}

// made makes a Notify of channels, and checks at the end that its log holds no secret.
func made(t *testing.T, o Options, channels ...Channel) *Notify {
	t.Helper()
	log := &record{}
	o.Channels, o.Log = channels, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if o.Geo == nil {
		o.Geo = nowhere{}
	}
	n, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		all := log.String()
		for _, c := range n.Channels() {
			b, err := json.Marshal(c)
			if err != nil {
				t.Error(err)
			}
			all += string(b)
		}
		if strings.Contains(all, secret) {
			t.Errorf("a secret shows:\n%s", all)
		}
	})
	return n
}

// running runs n until the function that it returns is called.
func running(t *testing.T, n *Notify, d *desk) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx, d) }()
	return func() {
		t.Helper()
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(2 * lastWords):
			t.Error("it does not end")
		}
	}
}

// bot is Telegram's Bot API, as far as it is used, at a real address.
type bot struct {
	*httptest.Server
	mu      sync.Mutex
	got     []map[string]any
	answers []http.HandlerFunc // to the next requests; then all goes well
	release chan struct{}      // ends hanging answers
}

func newBot(t *testing.T) *bot {
	b := &bot{release: make(chan struct{})}
	b.Server = httptest.NewServer(http.HandlerFunc(b.serve))
	t.Cleanup(func() {
		close(b.release)
		b.CloseClientConnections()
		b.Close()
	})
	return b
}

func (b *bot) serve(w http.ResponseWriter, r *http.Request) {
	content, err := io.ReadAll(r.Body)
	var m map[string]any
	if err == nil {
		err = json.Unmarshal(content, &m)
	}
	b.mu.Lock()
	var answer http.HandlerFunc
	if len(b.answers) > 0 {
		answer, b.answers = b.answers[0], b.answers[1:]
	}
	b.mu.Unlock()
	switch {
	case r.Method != http.MethodPost || r.URL.Path != "/bot1:"+secret+"/sendMessage":
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"ok":false,"error_code":404,"description":"Not Found"}`)
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
	case answer != nil:
		answer(w, r)
	default:
		b.mu.Lock()
		b.got = append(b.got, m)
		b.mu.Unlock()
		_, _ = io.WriteString(w, `{"ok":true,"result":{"message_id":1}}`)
	}
}

// next says how the next requests are answered.
func (b *bot) next(answers ...http.HandlerFunc) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answers = append(b.answers, answers...)
}

// hang answers when the test is over.
func (b *bot) hang(http.ResponseWriter, *http.Request) { <-b.release }

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// texts returns what has arrived.
func (b *bot) texts() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, m := range b.got {
		text, _ := m["text"].(string)
		out = append(out, text)
	}
	return out
}

func (b *bot) url(options string) ownline.Secret {
	return ownline.Secret("telegram://1:" + secret + "@telegram?chats=42&api=" + b.URL + options)
}

// opened is news of a session.
func opened(user, service string) ownline.News {
	return ownline.News{
		Kind: ownline.SessionOpened, At: time.Now(), User: user, Service: service, Site: "home",
		Source: netip.MustParsePrefix("198.51.100.7/32"), Until: time.Now().Add(30 * time.Minute), Session: ownline.SessionID{15: 1},
	}
}

// eventually waits until f is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("%s does not come", what)
}
