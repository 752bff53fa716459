package notify

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// A webhook gets the message as JSON.
func TestWebhook(t *testing.T) {
	got := make(chan string, 10)
	code := http.StatusOK
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- r.URL.Path + " " + string(b)
		w.WriteHeader(code)
	}))
	defer hook.Close()
	n := made(t, Options{}, Channel{Name: "hook", URL: ownline.Secret("generic+" + hook.URL + "/" + secret + "?template=json")})
	if err := n.Test(t.Context(), "hook"); err != nil {
		t.Fatal(err)
	}
	path, body, _ := strings.Cut(<-got, " ")
	var m struct{ Message string }
	if err := json.Unmarshal([]byte(body), &m); err != nil || path != "/"+secret || !strings.HasPrefix(m.Message, "This is a test") {
		t.Errorf("got %s %s, %v", path, body, err)
	}
	for status, permanent := range map[int]bool{404: true, 429: false, 503: false} {
		code = status
		err := n.channels[0].send(t.Context(), n.channels[0].texts.test())
		f, ok := errors.AsType[*failure](err)
		if !ok || f.permanent != permanent || f.text != fmt.Sprintf("the service answered %d %s", status, http.StatusText(status)) {
			t.Errorf("%d: got %+v", status, f)
		}
	}
	hook.Close()
	if err := n.Test(t.Context(), "hook"); err == nil || err.Error() != "the connection was refused" {
		t.Errorf("got %v", err)
	}
}

// A service that never answers is left alone: the caller goes on, and only so many messages
// hang.
func TestHangingWebhook(t *testing.T) {
	release := make(chan struct{})
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hook.Close()
	defer close(release)
	n := made(t, Options{}, Channel{URL: ownline.Secret("generic+" + hook.URL + "/" + secret)})
	for range hanging {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		err := n.Test(ctx, "generic")
		cancel()
		if err == nil || err.Error() != "the service did not answer in time" {
			t.Errorf("got %v", err)
		}
	}
	if err := n.Test(t.Context(), "generic"); err == nil || err.Error() != "earlier messages still hang at the service" {
		t.Errorf("got %v", err)
	}
	// The default client's limit ends them.
	l, ok := n.channels[0].sender.(*library)
	if !ok {
		t.Fatal("another sender")
	}
	eventually(t, "their end", func() bool { return len(l.underway) == 0 })
}

// mailServer is an SMTP server that takes every mail but those to nobody, and asks for a
// password.
func mailServer(t *testing.T) (addr string, mails <-chan string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 10)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serveMail(conn, got)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String(), got
}

func serveMail(conn net.Conn, got chan<- string) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	r := textproto.NewReader(bufio.NewReader(conn))
	say := func(line string) { _, _ = fmt.Fprintf(conn, "%s\r\n", line) }
	say("220 mail.example.org")
	var envelope []string
	for {
		line, err := r.ReadLine()
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		switch verb {
		case "EHLO":
			say("250-mail.example.org")
			say("250 AUTH PLAIN")
		case "AUTH":
			say("235 welcome")
		case "MAIL":
			envelope = append(envelope, line)
			say("250 ok")
		case "RCPT":
			if strings.Contains(line, "nobody@") {
				say("550 " + secret + " knows no such user")
				continue
			}
			envelope = append(envelope, line)
			say("250 ok")
		case "DATA":
			say("354 go on")
			b, err := r.ReadDotBytes()
			if err != nil {
				return
			}
			got <- strings.Join(envelope, "\n") + "\n\n" + string(b)
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func TestMail(t *testing.T) {
	addr, mails := mailServer(t)
	url := func(to string) ownline.Secret {
		return ownline.Secret("smtp://ownline:" + secret + "@" + addr + "/?from=ownline@example.org&to=" + to + "&usestarttls=no&encryption=none")
	}
	n := made(t, Options{}, Channel{Name: "mail", URL: url("ana@example.org")}, Channel{Name: "nobody", URL: url("nobody@example.org")})
	c := n.channels[0]
	news := opened("ana", "ssh")
	news.Device = "Anas Ⅲ\r\nBcc: eve@example.org"
	if err := c.send(t.Context(), c.texts.message([]ownline.News{news}, 1, 0)); err != nil {
		t.Fatal(err)
	}
	mail := strings.ReplaceAll(<-mails, "\r\n", "\n")
	head, body, _ := strings.Cut(mail[strings.Index(mail, "\n\n")+2:], "\n\n")
	if !strings.Contains(mail, "MAIL FROM:<ownline@example.org>") || !strings.Contains(mail, "RCPT TO:<ana@example.org>") || strings.Contains(mail, "RCPT TO:<eve") {
		t.Errorf("the envelope is wrong:\n%s", mail)
	}
	if !strings.Contains(head, "Subject: =?utf-8?q?Ownline:_ana's_Anas_") || strings.Contains("\n"+head, "\nBcc") {
		t.Errorf("the head is\n%s", head)
	}
	if !strings.HasPrefix(body, "ana's Anas Ⅲ  Bcc: eve＠example.org opened ssh at home from 198.51.100.7, until ") {
		t.Errorf("the body is\n%s", body)
	}
	if err := n.Test(t.Context(), "nobody"); err == nil || err.Error() != "the mail server answered 550" {
		t.Errorf("got %v", err)
	}
}

// Bad channels are refused with the key, and without the URL.
func TestBadChannels(t *testing.T) {
	good := "ntfy://ntfy.example.org/" + secret
	for name, tc := range map[string]struct {
		channels []Channel
		want     string
	}{
		"nothing":        {[]Channel{{URL: ownline.Secret(secret)}}, "notify[0].url: is not a URL that begins with the kind of service"},
		"no URL":         {[]Channel{{URL: ownline.Secret("://" + secret)}}, "notify[0].url: is not a URL that begins"},
		"unknown":        {[]Channel{{URL: ownline.Secret("smoke://" + secret)}}, `notify[0].url: "smoke" is no kind of service; known are bark, discord,`},
		"telegram":       {[]Channel{{URL: ownline.Secret(good)}, {URL: ownline.Secret("telegram://" + secret)}}, "notify[1].url: telegram: the token or what is around it is not right; right would be telegram://TOKEN@telegram?chats=ID"},
		"telegram, chat": {[]Channel{{URL: ownline.Secret("telegram://1:" + secret + "@telegram?chats=a")}}, "a chat is a number or @name"},
		"no chat":        {[]Channel{{URL: ownline.Secret("telegram://1:" + secret + "@telegram")}}, "it says no chats"},
		"telegram, api":  {[]Channel{{URL: ownline.Secret("telegram://1:" + secret + "@telegram?chats=1&api=ftp://" + secret)}}, "api is not an address"},
		"discord":        {[]Channel{{URL: ownline.Secret("discord://" + secret)}}, "notify[0].url: is not a URL as the service discord takes it; docs/how/notifications.md has examples"},
		"matrix":         {[]Channel{{URL: ownline.Secret("matrix://" + secret + "/")}}, "notify[0].url: is not a URL as the service matrix takes it"},
		"syslog":         {[]Channel{{URL: ownline.Secret("syslog+carrier://h")}}, `"carrier" is not one of udp, tcp, unix`},
		"syslog, option": {[]Channel{{URL: ownline.Secret("syslog://h?facility=x")}}, `"x" is not one of kern, user,`},
		"event":          {[]Channel{{URL: ownline.Secret(good), Events: []string{"session", "sesion.ended"}}}, `notify[0].events[1]: "sesion.ended" is no kind of event; known are all, session.opened,`},
		"name":           {[]Channel{{URL: ownline.Secret(good), Name: "My phone"}}, "notify[0].name: must be 1 to 32 of"},
		"twice":          {[]Channel{{URL: ownline.Secret(good), Name: "a"}, {URL: ownline.Secret(good), Name: "a"}}, `notify[1].name: "a" is another channel's already`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(Options{Channels: tc.channels, Geo: nowhere{}, Log: slog.New(slog.DiscardHandler)})
			if !errors.Is(err, ownline.ErrInvalid) || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), secret) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

// The URLs that the page on notifications shows are taken as they are.
func TestDocumentedURLs(t *testing.T) {
	urls := []string{
		"telegram://1:TOKEN@telegram?chats=5", "ntfy://ntfy.sh/TOPIC", "ntfy://USER:PASSWORD@ntfy.example.org/TOPIC",
		"smtp://USER:PASSWORD@mail.example.org:587/?from=ownline@example.org&to=ana@example.org", "matrix://USER:PASSWORD@matrix.example.org/?rooms=!ROOM:example.org",
		"discord://TOKEN@WEBHOOK", "gotify://gotify.example.org/Aaa.bbb.ccc.ddd", "generic+https://example.org/hook?template=json",
		"syslog:///dev/log", "syslog://loghost:514", "syslog+tcp://loghost:601",
	}
	var channels []Channel
	for _, u := range urls {
		channels = append(channels, Channel{URL: ownline.Secret(u)})
	}
	n := made(t, Options{}, channels...)
	var names []string
	for _, c := range n.Channels() {
		names = append(names, c.Name)
	}
	if got, want := strings.Join(names, " "), "telegram ntfy ntfy-2 smtp matrix discord gotify generic syslog syslog-2 syslog-3"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestEvents(t *testing.T) {
	for patterns, want := range map[string]int{"": 14, "all": 14, "-session.ended": 13, "session": 3, "session -session.ended": 2, "all -login -site.up": 10, "device.new_country": 1} {
		got, err := choose("k", strings.Fields(patterns))
		n := 0
		for _, wanted := range got {
			if wanted {
				n++
			}
		}
		if err != nil || n != want {
			t.Errorf("%q means %d kinds, %v; want %d", patterns, n, err, want)
		}
	}
}
