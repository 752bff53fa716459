package agent

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v3"

	"github.com/ownline/ownline/internal/broker"
	"github.com/ownline/ownline/internal/broker/brokertest"
	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
)

// behind has a site answer through a real broker; its UDP port is closed. Knocks before the
// one with that number (1: the first) get lost.
func behind(t *testing.T, from int) *site {
	t.Helper()
	s := newSite(t, 1, knock.Opened)
	s.conn.Close()
	b := brokertest.Start(t)
	s.profile.Broker = ownline.Broker{URL: b.TCP, Topic: "site/knock"}
	up := make(chan struct{})
	conn, err := broker.New(broker.Options{URL: b.WS, Up: func() { close(up) }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	turn := make(chan struct{}, 1)
	conn.Handle("site/knock", func(ctx context.Context, payload []byte) {
		turn <- struct{}{}
		defer func() { <-turn }()
		p, ok := knock.FromMessage(payload)
		if !ok {
			return
		}
		k, err := s.keys.Open(&p)
		if err != nil {
			return
		}
		s.got <- k
		count++
		if count < from || !k.AnswerWanted {
			return
		}
		topic := s.keys.AnswerTopic(k.Nonce)
		forged := s.keys.SealAnswer(knock.Nonce{9}, knock.Nonce{8}, knock.Answer{Status: knock.Refused, Time: time.Now()})
		a := s.keys.SealAnswer(k.Nonce, knock.Nonce{1}, knock.Answer{Status: knock.Opened, Sessions: 1, Time: time.Now(), Source: k.Claimed, Expires: time.Now().Add(time.Minute)})
		for _, m := range [][]byte{[]byte("noise"), forged[:], a[:]} {
			if err := conn.Publish(ctx, topic, m); err != nil {
				t.Error(err)
			}
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- conn.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-up:
	case <-time.After(20 * time.Second):
		t.Fatal("the broker is not reached")
	}
	return s
}

// Where UDP gets no answer the broker does.
func TestBroker(t *testing.T) {
	s := behind(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r := Request{Profile: s.profile, Only4: true, Claimed: netip.MustParseAddr("198.51.100.7")}
	replies, err := Knock(ctx, r)
	if err != nil || len(replies) != 2 {
		t.Fatal(replies, err)
	}
	if got := replies[1]; !got.OK() || got.Broker == "" || got.Family != "4" || got.Answer.Source != r.Claimed || got.Answer.Sessions != 1 {
		t.Errorf("through the broker: %+v", got)
	}
	if replies[0].OK() {
		t.Errorf("by UDP: %+v", replies[0])
	}
	if k := <-s.got; k.Claimed != r.Claimed || !k.AnswerWanted {
		t.Errorf("knocked %+v", k)
	}
}

// A broker is of no concern where UDP works, however long the other family is waited for.
func TestBrokerNotNeeded(t *testing.T) {
	s := newSite(t, 1, knock.Opened)
	s.profile.Broker = ownline.Broker{URL: "tcp://127.0.0.1:1"}
	for _, grace := range []time.Duration{0, time.Minute} {
		replies, err := Knock(t.Context(), Request{Profile: s.profile, Grace: grace})
		if err != nil || len(replies) != 1 || !replies[0].OK() {
			t.Errorf("%s: %+v, %v", grace, replies, err)
		}
	}
}

// Without a way to learn the address nothing is sent, and it says why.
func TestBrokerWithoutAddress(t *testing.T) {
	s := newSite(t, 1, knock.Opened)
	s.conn.Close()
	s.profile.Broker = ownline.Broker{URL: "tcp://127.0.0.1:1"}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	replies, err := Knock(ctx, Request{Profile: s.profile, Only4: true})
	if err != nil || len(replies) != 2 || replies[1].Err == nil || !strings.Contains(replies[1].Err.Error(), "public address") {
		t.Errorf("%+v, %v", replies, err)
	}
}

func TestPublicAddress(t *testing.T) {
	answers := map[string]string{
		"/text": "198.51.100.7\n", "/json": `{"ip":"198.51.100.8"}`, "/private": "192.168.1.2", "/other": "2001:db8:7::1", "/garbage": "<html>", "/long": strings.Repeat("1", 5000),
	}
	open := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("198.51.100.66")) }))
	defer open.Close()
	web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, open.URL, http.StatusFound)
		}
		if answers[r.URL.Path] == "" {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write([]byte(answers[r.URL.Path]))
	}))
	defer web.Close()
	authorities := x509.NewCertPool()
	authorities.AddCert(web.Certificate())
	server := "stun:" + serveSTUN(t, netip.MustParseAddr("198.51.100.9"))
	closed := "stun:" + closedPort(t)
	for name, tc := range map[string]struct {
		services []string
		family   string
		want     string // "": an error
	}{
		"text":                     {[]string{web.URL + "/text"}, "4", "198.51.100.7"},
		"JSON":                     {[]string{web.URL + "/json"}, "4", "198.51.100.8"},
		"STUN":                     {[]string{server}, "4", "198.51.100.9"},
		"the first does not know":  {[]string{web.URL + "/none", web.URL + "/garbage", web.URL + "/long", web.URL + "/private", closed, server}, "4", "198.51.100.9"},
		"private":                  {[]string{web.URL + "/private"}, "4", ""},
		"the other family":         {[]string{web.URL + "/other"}, "4", ""},
		"no way of that family":    {[]string{web.URL + "/other"}, "6", ""},
		"none":                     {nil, "4", ""},
		"without TLS":              {[]string{open.URL}, "4", ""},
		"without TLS, by a detour": {[]string{web.URL + "/away"}, "4", ""},
	} {
		got, err := publicAddress(t.Context(), tc.services, tc.family, authorities)
		if (err == nil) != (tc.want != "") || err == nil && got.String() != tc.want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}

// serveSTUN answers every second request, after noise.
func serveSTUN(t *testing.T, is netip.Addr) string {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { conn.Close(); <-done })
	go func() {
		defer close(done)
		var buf [1500]byte
		for i := 1; ; i++ {
			n, from, err := conn.ReadFrom(buf[:])
			if err != nil {
				return
			}
			ask := &stun.Message{Raw: buf[:n]}
			if i%2 != 0 || ask.Decode() != nil {
				continue
			}
			answer := stun.MustBuild(stun.NewTransactionIDSetter(ask.TransactionID), stun.BindingSuccess, &stun.XORMappedAddress{IP: is.AsSlice(), Port: 7})
			strange := stun.MustBuild(stun.TransactionID, stun.BindingSuccess, &stun.XORMappedAddress{IP: net.IPv4(203, 0, 113, 1), Port: 7})
			for _, m := range [][]byte{[]byte("noise"), strange.Raw, answer.Raw} {
				_, _ = conn.WriteTo(m, from)
			}
		}
	}()
	return conn.LocalAddr().String()
}

func closedPort(t *testing.T) string {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.LocalAddr().String()
}

func FuzzReadAddress(f *testing.F) {
	f.Add([]byte("198.51.100.7\n"))
	f.Add([]byte(`{"ip":"2001:db8::1"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := readAddress(b)
		if err == nil && !a.IsValid() {
			t.Fatal("an address that is none")
		}
		_, _ = json.Marshal(a)
	})
}
