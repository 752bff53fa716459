package cli

import (
	"encoding/json"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/agent"
	"github.com/ownline/ownline/internal/agent/profile"
	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
)

// enrolled makes a configuration with a profile of a site that is silent.
func enrolled(t *testing.T, broker ownline.Broker) (dir string, p ownline.Profile) {
	t.Helper()
	nobody, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nobody.Close() })
	p = ownline.Profile{
		Host: "127.0.0.1", Port: nobody.LocalAddr().(*net.UDPAddr).AddrPort().Port(), Site: ownline.NewID[ownline.Site](), Device: ownline.NewID[ownline.Device](),
		Key: make(ownline.Secret, ownline.SecretSize), Name: "home", Broker: broker,
	}
	a := &app{dir: t.TempDir()}
	if err := a.profileStore().Save("home", p, profile.InFile, false); err != nil {
		t.Fatal(err)
	}
	return a.dir, p
}

// A broker that takes connections and says nothing is not taken for a silent site.
func TestSilentBroker(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // the system takes connections meanwhile
	url := "tcp://" + l.Addr().String()
	dir, _ := enrolled(t, ownline.Broker{URL: url, Topic: "ownline/knock"})
	out, err := run(t, dir, "", "knock", "-4", "--source", "198.51.100.7", "--timeout", "3s")
	if !strings.Contains(out, "IPv4 through the broker  not sent: the broker does not answer\n") {
		t.Errorf("it prints\n%s", out)
	}
	if err == nil || !strings.Contains(err.Error(), "And through the broker "+url+": the broker does not answer.") {
		t.Error(err)
	}
}

// The sealed answer tells how far the clocks are apart: people read it when it is much, programs always.
func TestSkew(t *testing.T) {
	for name, tc := range map[string]struct {
		ahead time.Duration // the site's clock
		says  string
	}{
		"behind": {40 * time.Second, "behind"}, "ahead": {-40 * time.Second, "ahead of"}, "right": {0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			site, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
			if err != nil {
				t.Fatal(err)
			}
			dir, p := enrolled(t, ownline.Broker{})
			p.Port = site.LocalAddr().(*net.UDPAddr).AddrPort().Port()
			if err := (&app{dir: dir}).profileStore().Save("home", p, profile.InFile, true); err != nil {
				t.Fatal(err)
			}
			keys, err := knock.DeriveKeys(p.Key, p.Site)
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				var b knock.Packet
				for {
					_, from, err := site.ReadFromUDPAddrPort(b[:])
					if err != nil {
						return
					}
					if k, err := keys.Open(&b); err == nil {
						at := time.Now().Add(tc.ahead)
						a := keys.SealAnswer(k.Nonce, knock.Nonce{1}, knock.Answer{Status: knock.Opened, Sessions: 1, Time: at, Source: from.Addr(), Expires: at.Add(time.Hour)})
						_, _ = site.WriteToUDPAddrPort(a[:], from)
					}
				}
			}()
			defer func() { site.Close(); <-done }()
			out, err := run(t, dir, "", "knock", "-4")
			said := ""
			if m := regexp.MustCompile(`This machine's clock is [34]\ds (behind|ahead of) the site's`).FindStringSubmatch(out); m != nil {
				said = m[1]
			}
			if err != nil || said != tc.says {
				t.Errorf("%v, it prints\n%s\nwant %q", err, out, tc.says)
			}
			out, err = run(t, dir, "", "knock", "-4", "--json")
			var got knocked
			if e := json.Unmarshal([]byte(out), &got); e != nil || err != nil || len(got.Replies) != 1 {
				t.Fatal(out, e, err)
			}
			if d := time.Duration(got.Replies[0].SkewMS)*time.Millisecond - tc.ahead; d.Abs() > 5*time.Second {
				t.Errorf("skew_ms %d, want about %d", got.Replies[0].SkewMS, tc.ahead.Milliseconds())
			}
		})
	}
}

// A family that the machine lacks is not spoken of.
func TestNoFamily(t *testing.T) {
	replies := []agent.Reply{
		{Family: "4", Broker: "wss://b", Err: agent.ErrNoAnswer, Sent: 1},
		{Family: "6", Broker: "wss://b", Err: agent.ErrNoFamily},
	}
	out := knocked{Status: "no answer"}
	for _, r := range replies {
		out.Replies = append(out.Replies, showReply(r, false))
	}
	var w strings.Builder
	if err := printKnock(&w, out, replies); err != nil || w.String() != "IPv4 through the broker  no answer\n" {
		t.Errorf("%q, %v", w.String(), err)
	}
	if err := noAnswer(agent.Request{}, replies); !strings.Contains(err.Error(), "the broker wss://b took the knock") {
		t.Error(err)
	}
}

// Who has enrolled and never signed in is told what is missing.
func TestUnlearned(t *testing.T) {
	dir, p := enrolled(t, ownline.Broker{})
	want := "run `ownline login URL` and then `ownline services`, once"
	for _, args := range [][]string{{"knock", "nas-ssh", "--wait", "--", "ssh"}, {"ssh-config"}, {"ssh-config", "nas-ssh"}} {
		if _, err := run(t, dir, "", args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", args, err)
		}
	}
	a := &app{dir: dir}
	if err := writeJSON(a.knownFile(), []known{{ID: ownline.NewID[ownline.Service]().String(), Name: "wiki", Site: p.Site.String()}}); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"knock", "nas-ssh"}, {"ssh-config"}} {
		if _, err := run(t, dir, "", args...); err == nil || strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "`ownline services` again") {
			t.Errorf("%q, with another: %v", args, err)
		}
	}
	if _, err := run(t, dir, "", "knock", "--", "ssh", "-p", "{port}"); err == nil || !strings.Contains(err.Error(), "name the SERVICE before --") {
		t.Error(err)
	}
}
