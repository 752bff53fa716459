package udpknock

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// testClock is set by hand.
type testClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *testClock) Now() (time.Time, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now, "test"
}

func (c *testClock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

type world struct {
	*Door
	clock     *testClock
	keys      *knock.Keys
	device    link.Device
	site      ownline.SiteID
	delivered chan link.Knocked
	listening bool
	hints     atomic.Pointer[[]firewall.Hint]
}

// noon is the middle of an epoch.
var noon = time.Unix(1_790_000_100, 0)

func newWorld(t *testing.T, edit func(*link.Device)) *world {
	t.Helper()
	w := &world{
		clock: &testClock{now: noon}, site: ownline.NewID[ownline.Site](), listening: true,
		device:    link.Device{ID: ownline.NewID[ownline.Device](), Secret: make([]byte, knock.SecretSize)},
		delivered: make(chan link.Knocked, 100),
	}
	rand.Read(w.device.Secret)
	if edit != nil {
		edit(&w.device)
	}
	var err error
	if w.keys, err = knock.DeriveKeys(w.device.Secret, w.site); err != nil {
		t.Fatal(err)
	}
	w.Door, err = New(Config{
		Listen: netip.MustParseAddrPort("[::]:0"), Skew: time.Minute, Answer: true,
		LocalNetworks: func() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} },
		Deliver: func(k link.Knocked) bool {
			if w.listening {
				w.delivered <- k
			}
			return w.listening
		},
		Hints: func(h []firewall.Hint) { w.hints.Store(&h) },
	}, w.clock)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.SetDevices(w.site, 64, []link.Device{w.device}, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.conn.Close() })
	return w
}

func (w *world) knock(edit func(*knock.Knock)) *knock.Packet {
	n := knock.Knock{Time: noon, AnswerWanted: true}
	rand.Read(n.Nonce[:])
	if edit != nil {
		edit(&n)
	}
	p := w.keys.Seal(n)
	return &p
}

var (
	client  = netip.MustParseAddrPort("198.51.100.7:40000")
	client6 = netip.MustParseAddrPort("[2001:db8:7:1::5]:40000")
)

// Invariants 1, 2 and 6: what is not fresh, genuine and from where it says is dropped, and
// counted by reason.
func TestTake(t *testing.T) {
	at := func(d time.Duration) func(*knock.Knock) {
		return func(n *knock.Knock) { n.Time = noon.Add(d) }
	}
	claim := func(s string) func(*knock.Knock) {
		return func(n *knock.Knock) { n.Claimed = netip.MustParseAddr(s) }
	}
	for name, tc := range map[string]struct {
		device func(*link.Device)
		knock  func(*knock.Knock)
		from   netip.AddrPort
		tamper func(*knock.Packet)
		clock  time.Time
		want   reason
	}{
		"genuine":                         {from: client, want: accepted},
		"genuine over IPv6":               {from: client6, want: accepted},
		"the oldest that is fresh":        {knock: at(-time.Minute), from: client, want: accepted},
		"too old":                         {knock: at(-time.Minute - time.Millisecond), from: client, want: badTime},
		"the newest that is fresh":        {knock: at(time.Minute), from: client, want: accepted},
		"from the future":                 {knock: at(time.Minute + time.Millisecond), from: client, want: badTime},
		"of an epoch long gone":           {knock: at(-time.Hour), from: client, want: badHint},
		"unknown hint":                    {from: client, tamper: func(p *knock.Packet) { p[3] ^= 1 }, want: badHint},
		"bit flipped":                     {from: client, tamper: func(p *knock.Packet) { p[60] ^= 1 }, want: badSeal},
		"claims its own address":          {knock: claim("198.51.100.7"), from: client, want: accepted},
		"claims another":                  {knock: claim("198.51.100.8"), from: client, want: badClaim},
		"claims IPv6, comes by IPv4":      {knock: claim("2001:db8:7:1::5"), from: client, want: badClaim},
		"claims a neighbour in its /64":   {knock: claim("2001:db8:7:1::9"), from: client6, want: accepted},
		"claims another /64":              {knock: claim("2001:db8:7:2::5"), from: client6, want: badClaim},
		"claim required and missing":      {device: func(d *link.Device) { d.RequireClaimedSource = true }, from: client, want: noClaim},
		"claim required and given":        {device: func(d *link.Device) { d.RequireClaimedSource = true }, knock: claim("198.51.100.7"), from: client, want: accepted},
		"private source":                  {from: netip.MustParseAddrPort("10.0.0.1:1"), want: badSource},
		"carrier NAT":                     {from: netip.MustParseAddrPort("100.64.0.1:1"), want: badSource},
		"inside":                          {from: netip.MustParseAddrPort("127.0.0.1:1"), want: accepted},
		"mapped source of a dual socket":  {from: netip.MustParseAddrPort("[::ffff:198.51.100.7]:40000"), want: accepted},
		"the router has no clock":         {from: client, clock: time.Time{}, want: noClock},
		"the router's clock is far ahead": {from: client, clock: noon.Add(24 * time.Hour), want: badHint},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.device)
			if name == "the router has no clock" || !tc.clock.IsZero() {
				w.clock.set(tc.clock)
				w.refresh()
			}
			p := w.knock(tc.knock)
			if tc.tamper != nil {
				tc.tamper(p)
			}
			if got := w.take(p, tc.from, nil); got != tc.want {
				t.Errorf("take = %q, want %q", names[got], names[tc.want])
			}
			if got := len(w.delivered); (got == 1) != (tc.want == accepted) {
				t.Errorf("%d knocks were delivered", got)
			}
		})
	}
}

// Invariant 2: once.
func TestReplay(t *testing.T) {
	w := newWorld(t, nil)
	p := w.knock(nil)
	again, elsewhere := *p, *p
	if got := w.take(p, client, nil); got != accepted {
		t.Fatalf("take = %q", names[got])
	}
	if got := w.take(&again, client, nil); got != replay {
		t.Errorf("replay: %q", names[got])
	}
	if got := w.take(&elsewhere, netip.MustParseAddrPort("192.0.2.66:40000"), nil); got != replay {
		t.Errorf("replay from another address: %q", names[got])
	}
	// New devices do not make the door forget.
	late := *w.knock(func(n *knock.Knock) { n.Time = noon.Add(time.Second) })
	lateAgain := late
	w.take(&late, client, nil)
	if err := w.SetDevices(w.site, 64, []link.Device{w.device}, nil); err != nil {
		t.Fatal(err)
	}
	if got := w.take(&lateAgain, client, nil); got != replay {
		t.Errorf("replay after new devices came: %q", names[got])
	}
}

func TestNobodyListens(t *testing.T) {
	w := newWorld(t, nil)
	w.listening = false
	if got := w.take(w.knock(nil), client, nil); got != noWeb {
		t.Errorf("take = %q, want %q", names[got], names[noWeb])
	}
	if len(w.pending) != 0 {
		t.Error("a knock that nobody will judge is waited for")
	}
}

func TestHints(t *testing.T) {
	w := newWorld(t, nil)
	hints := *w.hints.Load()
	if len(hints) != 3 {
		t.Fatalf("%d hints, want those of three epochs", len(hints))
	}
	end := hints[1].Until
	// The present epoch ends in at most 10 minutes, and its hint is taken for 10 more.
	if left := time.Until(end); left < knock.Epoch || left > 2*knock.Epoch {
		t.Errorf("the present hint is taken for %v", left)
	}
	before := hints[2].Value
	w.clock.set(noon.Add(knock.Epoch))
	w.refresh()
	if (*w.hints.Load())[1].Value != before {
		t.Error("the next epoch's hint did not become the present one's")
	}
}

// running is the clock that goes by itself.
type running struct{}

func (running) Now() (time.Time, string) { return time.Now(), "test" }

// The kernel always has the hints of devices whose clocks are off by less than is taken: they come before
// their epoch does, and stay after it.
func TestHintsComeAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.Door.clock = running{}
		w.rebuild()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { w.keep(ctx) })
		for range int(3 * knock.Epoch / time.Second) {
			synctest.Wait()
			for _, off := range []time.Duration{-time.Minute, 0, time.Minute} {
				h := w.keys.Hint(knock.EpochOf(time.Now().Add(off)))
				if !slices.ContainsFunc(*w.hints.Load(), func(k firewall.Hint) bool { return k.Value == h && time.Now().Before(k.Until) }) {
					t.Fatalf("at %s the hint of a clock that is %s off is missing", time.Now().Format(time.TimeOnly), off)
				}
			}
			time.Sleep(time.Second)
		}
		cancel()
		wg.Wait()
	})
}

func TestBadPacketsCostNothing(t *testing.T) {
	w := newWorld(t, nil)
	garbage, forged := new(knock.Packet), w.knock(nil)
	forged[127] ^= 1
	sealed := *forged
	for name, f := range map[string]func(){
		"garbage": func() { w.take(garbage, client, nil) },
		"forged":  func() { *forged = sealed; w.take(forged, client, nil) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// The answer comes from the address that the knock went to, once, and only to the knock
// that asked for it.
func TestAnswer(t *testing.T) {
	w := newWorld(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := w.Run(ctx); err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	defer wg.Wait()
	defer cancel()
	for _, to := range []string{"127.0.0.1", "127.0.0.2"} { // the second is nobody's first choice
		conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(to), w.Port())))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		n := knock.Knock{Time: noon, AnswerWanted: true}
		rand.Read(n.Nonce[:])
		p := w.keys.Seal(n)
		if _, err := conn.Write(p[:]); err != nil {
			t.Fatal(err)
		}
		k := <-w.delivered
		if !k.Inside || k.Device != w.device.ID {
			t.Errorf("delivered %+v", k)
		}
		if err := w.Verdict(k.Seq, knock.Opened, "", 2, noon.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if err := w.Verdict(k.Seq, knock.Opened, "", 2, noon.Add(time.Hour)); err == nil {
			t.Error("a knock was answered twice")
		}
		var a knock.Packet
		conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := conn.Read(a[:]); err != nil {
			t.Fatalf("no answer from %s: %v", to, err)
		}
		got, err := w.keys.OpenAnswer(&a, n.Nonce)
		if err != nil || got.Status != knock.Opened || got.Sessions != 2 || !got.Time.Equal(noon) || !got.Expires.Equal(noon.Add(time.Hour)) {
			t.Errorf("answer %+v, %v", got, err)
		}
	}
	// A verdict that comes late tells nobody, whether the knock is forgotten yet or not.
	w.take(w.knock(nil), client, nil)
	k := <-w.delivered
	w.mu.Lock()
	late := w.pending[k.Seq]
	late.until = time.Now().Add(-1)
	w.pending[k.Seq] = late
	w.mu.Unlock()
	if err := w.Verdict(k.Seq, knock.Opened, "", 1, noon.Add(time.Hour)); !errors.Is(err, ownline.ErrNotFound) {
		t.Errorf("a late verdict: %v, want ErrNotFound", err)
	}
	// One that asks for no answer gets none.
	w.take(w.knock(func(n *knock.Knock) { n.AnswerWanted = false }), client, nil)
	k = <-w.delivered
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pending[k.Seq].wanted {
		t.Error("an answer is planned that nobody asked for")
	}
}

// Accepted is what web has given its word on: what it refuses silently, because it has counted
// before over MQTT, say, is no knock that was accepted.
func TestCountsWebsWord(t *testing.T) {
	w := newWorld(t, nil)
	for range 3 {
		if got := w.take(w.knock(nil), client, nil); got != accepted {
			t.Fatalf("take = %q", names[got])
		}
	}
	if n := w.Counts(); n.Accepted != 0 {
		t.Errorf("%d are accepted before web has said anything", n.Accepted)
	}
	seq := (<-w.delivered).Seq
	if err := w.Verdict(seq, knock.Renewed, "", 0, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := w.Verdict(seq, knock.Renewed, "", 0, time.Time{}); !errors.Is(err, ownline.ErrNotFound) {
		t.Errorf("a second word: %v", err)
	}
	w.forget(time.Now())
	if n := w.Counts(); n.Accepted != 1 || n.Dropped["ignored"] != 0 {
		t.Errorf("after one word: %+v", n)
	}
	w.forget(time.Now().Add(verdictWithin + time.Second))
	if n := w.Counts(); n.Accepted != 1 || n.Dropped["ignored"] != 2 {
		t.Errorf("in the end: %+v", n)
	}
}

// What web refuses is counted by why.
func TestCountsRefusals(t *testing.T) {
	w := newWorld(t, nil)
	for _, v := range []struct {
		status knock.Status
		why    string
	}{{knock.Refused, link.RefusedPolicy}, {knock.Refused, "else"}, {knock.NothingGranted, ""}, {knock.Opened, link.RefusedPolicy}} {
		if got := w.take(w.knock(nil), client, nil); got != accepted {
			t.Fatalf("take = %q", names[got])
		}
		if err := w.Verdict((<-w.delivered).Seq, v.status, v.why, 0, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	n := w.Counts()
	if n.Accepted != 1 || n.Dropped["policy"] != 1 || n.Dropped["refused"] != 1 || n.Dropped["not_granted"] != 1 {
		t.Errorf("%+v", n)
	}
}

// What arrives is counted once: at once when it is bad, when web has said so when it is accepted.
func TestCountsWhatArrives(t *testing.T) {
	w := newWorld(t, nil)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), w.Port())))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, datagram := range [][]byte{w.knock(nil)[:], {1, 2, 3}} {
		if _, err := conn.Write(datagram); err != nil {
			t.Fatal(err)
		}
	}
	seq := (<-w.delivered).Seq
	for end := time.Now().Add(20 * time.Second); w.Counts().Dropped["length"] != 1; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%+v", w.Counts())
		}
	}
	if n := w.Counts().Accepted; n != 0 {
		t.Errorf("%d are accepted before web has said anything", n)
	}
	if err := w.Verdict(seq, knock.Inside, "", 0, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if n := w.Counts().Accepted; n != 1 {
		t.Errorf("%d are accepted, not 1", n)
	}
}

// Whatever the door counts, web keeps, or knows better.
func TestReasonsAreKnown(t *testing.T) {
	webs := []string{link.RefusedIgnored, link.RefusedNotGranted, link.RefusedElse, link.RefusedPolicy}
	for _, reason := range names[badRead:] {
		if known := link.RefusedByCore(reason); known == slices.Contains(webs, reason) {
			t.Errorf("%q: by core %v", reason, known)
		}
	}
}
