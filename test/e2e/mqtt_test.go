package e2e

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/broker/brokertest"
	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
	"github.com/ownline/ownline/test/world/worldtest"
)

const overlap = time.Second

// brokers is a world with both kinds: mosquitto on the router, with TLS, WebSocket and password,
// and the one inside web, whose port the router passes on.
type brokers struct {
	*suite
	ca        string // in PEM
	mosquitto *world.Daemon
}

func startBrokers(t *testing.T) *brokers {
	t.Helper()
	dir := t.TempDir()
	router, lan := netip.MustParseAddr("192.168.7.1"), netip.MustParseAddr("192.168.7.10")
	wan4, wan6 := netip.MustParseAddr("203.0.113.2"), netip.MustParseAddr("2001:db8:7:1::2")
	_, cert, key := brokertest.Certificate(t, dir, router, lan, wan4, wan6)
	file := func(name, content string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	b := &brokers{ca: cert}
	b.suite = start(t, world.Options{WebYAML: fmt.Sprintf(`sessions: {automatic: 10m, roaming_overlap: %s}
mqtt:
  url: tls://%s:8883
  username: ownline
  password_file: %q
  ca_file: %q
  embedded: {listen: "%s:8883", url: "wss://[%s]:8884/", cert_file: %q, key_file: %q}
  devices: {ca_file: %q, address_urls: ["stun:192.0.2.1:3478"]}
`, overlap, router, file("password", brokertest.Password), cert, lan, wan6, cert, key, cert)})
	passwords := filepath.Join(dir, "passwords")
	if out, err := exec.Command("mosquitto_passwd", "-c", "-b", passwords, brokertest.Username, brokertest.Password).CombinedOutput(); err != nil {
		t.Fatalf("this test needs mosquitto and mosquitto-clients, which `make test` installs: %v: %s", err, out)
	}
	tls := fmt.Sprintf("certfile %s\nkeyfile %s\n", cert, key)
	conf := file("mosquitto.conf", "user root\npersistence false\nallow_anonymous false\npassword_file "+passwords+"\nlistener 8883\n"+tls+"listener 9001\nprotocol websockets\n"+tls)
	var err error
	if b.mosquitto, err = b.StartOnRouter(t.Context(), "/usr/sbin/mosquitto", "-c", conf); err != nil {
		t.Fatal(err)
	}
	for _, wan := range []netip.Addr{wan4, wan6} {
		b.pass(netip.AddrPortFrom(wan, 8884), netip.AddrPortFrom(lan, 8883))
	}
	b.grant(b.echo, world.Map{"automatic": true})
	return b
}

// pass has the router pass connections on to the LAN, as a router does that is told to.
func (b *brokers) pass(from, to netip.AddrPort) {
	b.t.Helper()
	l, err := b.Bed.Router.ListenTCP(from)
	if err != nil {
		b.t.Fatal(err)
	}
	relay(b.t, l, func() (net.Conn, error) { return b.Bed.Router.Dial("tcp", to, 5*time.Second) })
}

// relay passes what comes in on to where dial leads, until the test ends.
func relay(t *testing.T, l net.Listener, dial func() (net.Conn, error)) {
	var wg sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer in.Close()
				out, err := dial()
				if err != nil {
					return
				}
				defer out.Close()
				var both sync.WaitGroup
				for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
					both.Go(func() {
						_, _ = io.Copy(way[0], way[1]) // either end may hang up
						way[0].Close()
						way[1].Close()
					})
				}
				both.Wait()
			})
		}
	})
}

// way is a device and how it gets to its broker.
type way struct {
	*brokers
	profile ownline.Profile
	keys    *knock.Keys
	ws      string // for mqtt.js, which can't read an IPv6 address in a URL
	version int    // of MQTT, for mqtt.js
	pub     []string
	home    string // of ownline
	first   netip.Addr
	second  netip.Addr
}

// way makes a device that reaches no UDP port, and the broker of its profile or that of set.
func (b *brokers) way(name string, set func(*ownline.Broker)) *way {
	b.t.Helper()
	d, err := b.NewDevice(b.t.Context(), name, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	p, err := ownline.ParseProfile(d.Profile)
	if err != nil {
		b.t.Fatal(err)
	}
	p.Port = 9
	if set != nil {
		set(&p.Broker)
	}
	w := &way{brokers: b, profile: p, home: filepath.Join(b.t.TempDir(), name)}
	if w.keys, err = knock.DeriveKeys(p.Key, p.Site); err != nil {
		b.t.Fatal(err)
	}
	w.run("", "ownline", programs.CLI, "enroll", "--keyring", "off", "--name", "default", p.URI())
	return w
}

// run runs a program on the client, and returns what it prints.
func (w *way) run(stdin string, what, name string, args ...string) []byte {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	cmd := w.Bed.Client1.Command(ctx, name, args...)
	cmd.Env = append(os.Environ(), "OWNLINE_CONFIG_DIR="+w.home, "NODE_EXTRA_CA_CERTS="+w.ca, "NODE_PATH="+modules())
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &said
	if err := w.Bed.Client1.Run(cmd); err != nil {
		w.t.Fatalf("%s: %v\n%s%s", what, err, out.Bytes(), said.Bytes())
	}
	return out.Bytes()
}

func modules() string { return filepath.Join("..", "..", "pwa", "node_modules") }

// ownline knocks from an address with the command line.
func (w *way) ownline(from netip.Addr) {
	w.t.Helper()
	family := "-4"
	if from.Is6() {
		family = "-6"
	}
	out := w.run("", "ownline knock", programs.CLI, "knock", family, "--source", from.String(), "--timeout", "40s", "--json")
	var got struct {
		Replies []struct{ Way, Status string }
	}
	if err := json.Unmarshal(out, &got); err != nil || !slices.ContainsFunc(got.Replies, func(r struct{ Way, Status string }) bool {
		return r.Way == "mqtt" && (r.Status == "opened" || r.Status == "renewed")
	}) {
		w.t.Fatalf("%v: %s", err, out)
	}
}

func (w *way) sealed(from netip.Addr) (knock.Nonce, knock.Packet) {
	n := (&world.Device{}).Knock()
	n.Claimed = from
	return n.Nonce, w.keys.Seal(n)
}

// mosquittoPub publishes a packet.
func (w *way) mosquittoPub(packet knock.Packet, more ...string) {
	w.t.Helper()
	w.run(string(packet[:]), "mosquitto_pub", "mosquitto_pub", slices.Concat(w.pub, []string{
		"--cafile", w.ca, "-u", w.profile.Broker.Username, "-P", string(w.profile.Broker.Password), "-q", "1", "-t", "ownline/knock", "-s",
	}, more)...)
}

// javaScript knocks with mqtt.js and returns the answer.
func (w *way) javaScript(from netip.Addr) knock.Answer {
	w.t.Helper()
	nonce, packet := w.sealed(from)
	in, err := json.Marshal(world.Map{
		"url": w.ws, "username": w.profile.Broker.Username, "password": string(w.profile.Broker.Password), "version": w.version,
		"topic": "ownline/knock", "answerTopic": w.keys.AnswerTopic(nonce), "packet": hex.EncodeToString(packet[:]),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := hex.DecodeString(string(w.run(string(in), "mqtt.js", "node", "testdata/knock.cjs")))
	if err != nil || len(b) != knock.Size {
		w.t.Fatalf("%v: %x", err, b)
	}
	answer := knock.Packet(b)
	a, err := w.keys.OpenAnswer(&answer, nonce)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// live is the device's session for an address; the zero one if there is none.
func (w *way) live(from netip.Addr) world.Session {
	w.t.Helper()
	all, err := w.API.Live(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range all {
		if s.Source.Contains(from) && s.State == "active" {
			return s
		}
	}
	return world.Session{}
}

func (w *way) reaches(from netip.Addr, port uint16) bool {
	return w.Bed.Client1.From(from).ConnectTCP(w.public(from.Is6(), port), 300*time.Millisecond).State == bed.Open
}

// shorten has web, once it is started again, open sessions whose end can be waited for.
func (b *brokers) shorten() {
	b.t.Helper()
	file := b.Path("web.yaml")
	yaml, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, bytes.Replace(yaml, []byte("automatic: 10m"), []byte("automatic: 15s"), 1), 0o600)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// total counts all sessions there ever were.
func (b *brokers) total() int {
	b.t.Helper()
	var l world.List[world.Session]
	b.call("GET", "/sessions?all=true&limit=200", nil, &l)
	return len(l.Items)
}

// Invariants 1 to 4 through a broker, mosquitto (TLS, password, WebSocket) and the embedded one,
// driven by ownline, its agent, mosquitto_pub and mqtt.js: sessions open, renew, follow the client, and
// end; what is repeated or retained opens nothing, also when broker and web have been killed.
func TestKnockThroughBrokers(t *testing.T) {
	if _, err := os.Stat(filepath.Join(modules(), "mqtt")); err != nil {
		t.Fatalf("this test needs the modules of pwa, which `make build` installs: %v", err)
	}
	b := startBrokers(t)
	client := b.Bed.Client1
	outer := b.way("outer", func(o *ownline.Broker) {
		*o = ownline.Broker{URL: "tls://203.0.113.2:8883", Username: brokertest.Username, Password: ownline.Secret(brokertest.Password), Authority: o.Authority, AddressURLs: o.AddressURLs}
	})
	outer.ws, outer.version, outer.pub = "wss://203.0.113.2:9001/", 5, []string{"-h", "203.0.113.2", "-p", "8883", "-V", "5"}
	outer.first, outer.second = client.IPv4s[0], client.IPv4s[1]
	own := b.way("own", nil)
	own.ws, own.version, own.pub = "wss://203.0.113.2:8884/", 4, []string{"-h", "2001:db8:7:1::2", "-p", "8884", "-V", "311"}
	own.first, own.second = client.IPv6s[0], client.IPv6s[2]

	old := make(map[*way]world.Session)
	for _, w := range []*way{outer, own} {
		if s := w.live(w.first); s.ID != "" {
			t.Fatalf("open before: %+v", s)
		}
		w.ownline(w.first)
		s := w.live(w.first)
		if s.ID == "" {
			t.Fatal("there is no session")
		}
		eventually(t, patience, "open", func() bool { return w.reaches(w.first, s.PublicPort) })
		wantState(t, b.Bed.Stranger, b.public(w.first.Is6(), s.PublicPort), false)
		if w.reaches(w.second, s.PublicPort) {
			t.Error("open for another address")
		}
		// Renewed by other clients.
		_, first := w.sealed(w.first)
		w.mosquittoPub(first)
		var renewed world.Session
		eventually(t, patience, "mosquitto_pub renews", func() bool {
			renewed = w.live(w.first)
			return renewed.ID == s.ID && renewed.Expires.After(s.Expires)
		})
		if a := w.javaScript(w.first); a.Status != knock.Renewed || a.Sessions != 1 || a.Source != w.first {
			t.Errorf("mqtt.js is told %+v", a)
		}
		// What has counted counts no more.
		renewed = w.live(w.first)
		for range 3 {
			w.mosquittoPub(first)
		}
		if w == outer {
			w.mosquittoPub(first, "-r")
		}
		if again := w.live(w.first); again.ID != s.ID || !again.Expires.Equal(renewed.Expires) {
			t.Errorf("a replay made %+v of %+v", again, renewed)
		}
		old[w] = renewed
	}
	if n := b.total(); n != 2 {
		t.Errorf("there were %d sessions, want 2", n)
	}
	// Broker and web crash, and come back. What was published meanwhile opens nothing, though
	// the broker has kept it: nobody knows any more what it is good for.
	b.shorten()
	for _, d := range []*world.Daemon{b.mosquitto, b.Web} {
		if err := d.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.mosquitto.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "mosquitto serves again", func() bool {
		return client.ConnectTCP(netip.MustParseAddrPort("203.0.113.2:8883"), time.Second).State == bed.Open
	})
	_, kept := outer.sealed(outer.second)
	outer.mosquittoPub(kept, "-r")
	if err := b.Web.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "web finds its broker", func() bool {
		var state struct {
			Connected bool
			Embedded  struct{ Serving bool }
		}
		b.call("GET", "/broker", nil, &state)
		return state.Connected && state.Embedded.Serving
	})
	time.Sleep(500 * time.Millisecond)
	if s := outer.live(outer.second); s.ID != "" {
		t.Errorf("a retained knock has opened %+v", s)
	}

	// The client moves: the old address is let in for the overlap, then no more.
	var wg sync.WaitGroup
	for _, w := range []*way{outer, own} {
		w.ownline(w.second)
		s := w.live(w.second)
		if s.ID == "" || s.ID == old[w].ID {
			t.Fatalf("has not followed: %+v", s)
		}
		eventually(t, patience, "open for the new address", func() bool { return w.reaches(w.second, s.PublicPort) })
		wg.Go(func() {
			eventually(t, patience, "the old session ends", func() bool {
				o, err := w.API.Session(t.Context(), old[w].ID)
				return err == nil && o.State == "ended" && o.Reason == "replaced"
			})
			if w.reaches(w.first, old[w].PublicPort) {
				t.Error("the old address is still let in")
			}
			// It knocks no more: what is open ends on time.
			eventually(t, time.Minute, "the new session ends", func() bool { return !w.reaches(w.second, s.PublicPort) })
		})
	}
	wg.Wait()
	nothingLeft := func() {
		t.Helper()
		eventually(t, time.Minute, "nothing is left", func() bool {
			all, err := b.API.Live(t.Context())
			return err == nil && len(all) == 0
		})
	}
	nothingLeft()

	// The agent finds the way through the broker by itself, and its address by STUN, where the profiles have it.
	worldtest.ServeSTUN(t, b.Bed.Internet, netip.MustParseAddrPort("192.0.2.1:3478"))
	for _, w := range []*way{outer, own} {
		w.agent(client.IPv4s[0])
		nothingLeft()
	}
}

// agent runs until there is a session for the address.
func (w *way) agent(from netip.Addr) {
	w.t.Helper()
	cmd := w.Bed.Client1.Command(context.WithoutCancel(w.t.Context()), programs.CLI, "agent", "run", "--config-dir", w.home)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := w.Bed.Client1.Start(cmd); err != nil {
		w.t.Fatal(err)
	}
	var s world.Session
	eventually(w.t, patience, "the agent has a session", func() bool { s = w.live(from); return s.ID != "" })
	eventually(w.t, patience, "open by the agent", func() bool { return w.reaches(from, s.PublicPort) })
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		w.t.Errorf("asked to stop, the agent ends with %v: %s", err, said.Bytes())
	}
}
