package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// telegram sends by Telegram's Bot API. The notification library does so too, but reports
// success when the API can't be reached, takes no other address and does not hear when it is
// asked to wait. The URL is the library's: telegram://TOKEN@telegram?chats=ID,ID, and
// api=https://HOST for a Bot API server of one's own.
type telegram struct {
	endpoint string // holds the token
	chats    []chat
	silent   bool
	client   *http.Client
}

type chat struct {
	id     string // a number, or @name
	thread int    // of a group with topics; 0: none
}

const telegramAPI = "https://api.telegram.org"

var (
	tokenRule = regexp.MustCompile(`^[0-9]+:[A-Za-z0-9_-]+$`)
	chatRule  = regexp.MustCompile(`^(-?[0-9]+|@[A-Za-z0-9_]+)(?::([0-9]+))?$`)
)

func newTelegram(key string, u *url.URL) (*telegram, error) {
	t := &telegram{client: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	wrong := func(detail string) error {
		return ownline.Invalid(key, "telegram: "+detail+"; right would be telegram://TOKEN@telegram?chats=ID")
	}
	password, _ := u.User.Password()
	token := u.User.Username() + ":" + password
	if !tokenRule.MatchString(token) || u.Host != "telegram" || strings.Trim(u.Path, "/") != "" {
		return nil, wrong("the token or what is around it is not right")
	}
	base := telegramAPI
	for name, values := range u.Query() {
		value := values[0]
		switch strings.ToLower(name) {
		case "chats", "channels":
			for word := range strings.SplitSeq(value, ",") {
				m := chatRule.FindStringSubmatch(word)
				if m == nil {
					return nil, wrong("a chat is a number or @name, with :THREAD behind it for a topic")
				}
				thread, _ := strconv.Atoi(m[2]) // digits or nothing
				t.chats = append(t.chats, chat{m[1], thread})
			}
		case "notification":
			t.silent = strings.EqualFold(value, "no") || value == "0" || strings.EqualFold(value, "false")
		case "preview", "parsemode", "title":
			// The library's; messages are plain text without links to preview.
		case "api":
			b, err := url.Parse(value)
			if err != nil || b.Scheme != "https" && b.Scheme != "http" || b.Host == "" || b.RawQuery != "" {
				return nil, wrong("api is not an address like https://telegram.example.org")
			}
			base = strings.TrimRight(value, "/")
		default:
			return nil, wrong(fmt.Sprintf("there is no option %q", name))
		}
	}
	if len(t.chats) == 0 {
		return nil, wrong("it says no chats")
	}
	t.endpoint = base + "/bot" + token + "/sendMessage"
	return t, nil
}

// send sends to every chat that has not got the message yet.
func (t *telegram) send(ctx context.Context, m message) error {
	for _, c := range t.chats {
		if m.arrived[c.id] {
			continue
		}
		if err := t.one(ctx, c, m.text()); err != nil {
			return err
		}
		m.arrived[c.id] = true
	}
	return nil
}

func (t *telegram) one(ctx context.Context, c chat, text string) error {
	body, err := json.Marshal(struct {
		Chat    string         `json:"chat_id"`
		Thread  int            `json:"message_thread_id,omitempty"`
		Text    string         `json:"text"`
		Silent  bool           `json:"disable_notification,omitempty"`
		Preview map[string]any `json:"link_preview_options"`
	}{c.id, c.thread, text, t.silent, map[string]any{"is_disabled": true}})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.endpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := t.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct {
		OK         bool `json:"ok"`
		Parameters struct {
			RetryAfter int `json:"retry_after"` // seconds
		} `json:"parameters"`
	}
	content, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return err
	}
	jerr := json.Unmarshal(content, &answer)
	switch {
	case resp.StatusCode == http.StatusOK && jerr == nil && answer.OK:
		return nil
	case resp.StatusCode == http.StatusOK:
		return &failure{text: "what answered is not Telegram's Bot API"}
	}
	f := answered(resp.StatusCode)
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusNotFound:
		f.text += ": the bot's token is not right"
	case http.StatusBadRequest, http.StatusForbidden:
		f.text += ": there is no such chat, or the bot may not write to it"
	}
	f.after = time.Duration(answer.Parameters.RetryAfter) * time.Second
	return f
}
