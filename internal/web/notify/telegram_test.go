package notify

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ownline/ownline/internal/ownline"
)

// One piece of news is one message, with everything in its first line.
func TestTelegram(t *testing.T) {
	b := newBot(t)
	n := made(t, Options{PublicURL: "https://own.example.org"}, Channel{URL: b.url("&notification=no")})
	stop := running(t, n, &desk{})
	n.Report(opened("ana", "ssh"))
	eventually(t, "the message", func() bool { return len(b.texts()) > 0 })
	stop()
	if len(b.got) != 1 {
		t.Fatalf("got %d messages", len(b.got))
	}
	text, _ := b.got[0]["text"].(string)
	delete(b.got[0], "text")
	want := map[string]any{"chat_id": "42", "disable_notification": true, "link_preview_options": map[string]any{"is_disabled": true}}
	if diff := cmp.Diff(want, b.got[0]); diff != "" {
		t.Error(diff)
	}
	first, rest, _ := strings.Cut(text, "\n")
	if !strings.HasPrefix(first, "ana opened ssh at home from 198.51.100.7, until ") || rest != "To end it: https://own.example.org/" {
		t.Errorf("got\n%s", text)
	}
}

// Every way in which Telegram can fail is told in words that hold no secret, and nothing
// counts as delivered that was not.
func TestTelegramFailures(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("followed to another place") }))
	defer elsewhere.Close()
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		want   failure
	}{
		"told to wait":   {status(429, `{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":7}}`), failure{"the service answered 429 Too Many Requests", false, 7 * time.Second}},
		"broken":         {status(500, `oops`), failure{text: "the service answered 500 Internal Server Error"}},
		"bad gateway":    {status(502, `<html>`), failure{text: "the service answered 502 Bad Gateway"}},
		"wrong token":    {status(401, `{"ok":false,"description":"Unauthorized: `+secret+`"}`), failure{text: "the service answered 401 Unauthorized: the bot's token is not right", permanent: true}},
		"no such chat":   {status(400, `{"ok":false,"description":"Bad Request: chat not found"}`), failure{text: "the service answered 400 Bad Request: there is no such chat, or the bot may not write to it", permanent: true}},
		"something else": {status(200, `<html>welcome</html>`), failure{text: "what answered is not Telegram's Bot API"}},
		"not ok":         {status(200, `{"ok":false}`), failure{text: "what answered is not Telegram's Bot API"}},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusTemporaryRedirect)
		}, failure{text: "the service answered 307 Temporary Redirect"}},
		"cut": {func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			c.Close()
		}, failure{text: "the service did not take the message"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBot(t)
			n := made(t, Options{}, Channel{URL: b.url("")})
			b.next(tc.answer)
			err := n.channels[0].send(t.Context(), n.channels[0].texts.test())
			got, ok := errors.AsType[*failure](err)
			if !ok || *got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
			if err := n.Test(t.Context(), "telegram"); err != nil {
				t.Errorf("after that: %v", err)
			}
			if got := b.texts(); len(got) != 1 || !strings.HasPrefix(got[0], "This is a test") {
				t.Errorf("got %q", got)
			}
		})
	}
	t.Run("hanging", func(t *testing.T) {
		b := newBot(t)
		n := made(t, Options{}, Channel{URL: b.url("")})
		b.next(b.hang)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := n.Test(ctx, "telegram"); err == nil || err.Error() != "the service did not answer in time" || !errors.Is(err, ownline.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		b := newBot(t)
		n := made(t, Options{}, Channel{URL: b.url("")})
		b.Server.Close()
		if err := n.Test(t.Context(), "telegram"); err == nil || err.Error() != "the connection was refused" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no such host", func(t *testing.T) {
		n := made(t, Options{}, Channel{URL: ownline.Secret("telegram://1:" + secret + "@telegram?chats=42&api=http://none.invalid")})
		if err := n.Test(t.Context(), "telegram"); err == nil || err.Error() != "the name of the service's host can't be resolved" {
			t.Errorf("got %v", err)
		}
	})
}

// Of several chats, those that have the message do not get it again.
func TestTelegramChats(t *testing.T) {
	b := newBot(t)
	n := made(t, Options{}, Channel{URL: ownline.Secret("telegram://1:" + secret + "@telegram?chats=42,-100123:7,@news&api=" + b.URL)})
	c := n.channels[0]
	ok := status(200, `{"ok":true}`)
	m := c.texts.test()
	b.next(ok, status(500, ""))
	if err := c.send(t.Context(), m); err == nil {
		t.Error("one chat failed, and nobody says so")
	}
	if err := c.send(t.Context(), m); err != nil {
		t.Error(err)
	}
	var got []string
	for _, m := range b.got {
		chat, _ := m["chat_id"].(string)
		if m["message_thread_id"] == 7.0 {
			chat += ":7"
		}
		got = append(got, chat)
	}
	if diff := cmp.Diff([]string{"-100123:7", "@news"}, got); diff != "" {
		t.Errorf("tried again: %s", diff)
	}
}
