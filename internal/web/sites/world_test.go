package sites_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/policy"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/sites"
	"github.com/ownline/ownline/internal/web/sites/coretest"
	"github.com/ownline/ownline/internal/web/store"
)

// plain keeps passwords as they are: hashing is not what is tested here.
type plain struct{}

func (plain) CheckHash(string) error { return nil }

func (plain) Hash(p string) (string, error) { return p, nil }

// web is one process of web on a database.
type web struct {
	*access.Access
	store *store.Store
	cores *sites.Cores
	stop  func()
}

// desk is an Access that does not count what it should.
type desk struct {
	*access.Access
	counting func() error
}

func (d desk) Counted(ctx context.Context, site ownline.SiteID, st link.Status) error {
	if d.counting != nil {
		if err := d.counting(); err != nil {
			return err
		}
	}
	return d.Access.Counted(ctx, site, st)
}

// world is a core with a web that commands it.
type world struct {
	t    testing.TB
	dir  string
	id   *link.Identity
	core *coretest.Server
	dial net.Listener // where cores dial the process that serves; nil: none can
	*web

	site      ownline.SiteInfo
	ana       access.Actor // a user, with a grant for ssh (automatic) and http
	ssh       ownline.Service
	http      ownline.Service
	phone     ownline.Device
	overlap   time.Duration
	lookEvery time.Duration  // likewise
	counting  func() error   // likewise: an error is what Counted returns; nil: none
	publish   netip.AddrPort // of the processes that are started from now on
}

var (
	home  = netip.MustParseAddr("198.51.100.7")
	cafe  = netip.MustParseAddr("203.0.113.9")
	limit = policy.Limits{Default: 30 * time.Minute, Max: 24 * time.Hour, Automatic: 30 * time.Minute, PortMin: 20000, PortMax: 29999}
)

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), core: coretest.Serve(t, coretest.New("token")), overlap: time.Minute}
	w.start()
	t.Cleanup(w.halt)
	ctx := t.Context()
	var err error
	if w.site, err = w.PairSite(ctx, access.Command(), w.core.Code("token"), "home", "home.example.org"); err != nil {
		t.Fatal(err)
	}
	add := func(name, target, target6 string) ownline.Service {
		n := access.NewService{Site: w.site.ID, Name: name, Target4: netip.MustParseAddrPort(target)}
		if target6 != "" {
			n.Target6 = netip.MustParseAddrPort(target6)
		}
		s, err := w.AddService(ctx, access.Command(), n)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	w.ssh, w.http = add("ssh", "192.168.7.10:22", "[fd00:7::10]:22"), add("http", "192.168.7.10:80", "")
	u, err := w.AddUser(ctx, access.Command(), access.NewUser{Name: "ana", Password: "x"})
	if err != nil {
		t.Fatal(err)
	}
	w.ana = access.Actor{User: u, By: access.ByLogin, Client: home}
	for s, automatic := range map[ownline.ServiceID]bool{w.ssh.ID: true, w.http.ID: false} {
		if _, err := w.AddGrant(ctx, access.Command(), access.NewGrant{User: u.ID, Service: s, Automatic: automatic}); err != nil {
			t.Fatal(err)
		}
	}
	if w.phone, _, err = w.AddDevice(ctx, w.ana, access.NewDevice{Site: w.site.ID, Name: "phone"}); err != nil {
		t.Fatal(err)
	}
	return w
}

// start starts a process of web; it is w.web from then on.
func (w *world) start() {
	w.t.Helper()
	w.web = w.process(true)
}

// process starts a process of web on the world's database: one that serves, or one of a
// command.
func (w *world) process(serve bool) *web {
	w.t.Helper()
	st, err := store.Open(context.Background(), filepath.Join(w.dir, "web.db"), make(ownline.Secret, 32))
	if err != nil {
		w.t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("OWNLINE_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	pem, err := st.LinkIdentity(context.Background(), link.GenerateIdentity)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.id, err = link.ParseIdentity(pem); err != nil {
		w.t.Fatal(err)
	}
	o := sites.Options{Identity: w.id, Keys: st, LookEvery: w.lookEvery, Log: log}
	if serve && w.dial != nil {
		o.Door = link.NewDoor(w.id, log)
	}
	cores := sites.New(o)
	p := &web{store: st, cores: cores, Access: access.New(access.Options{
		Store: access.Over(st), Enforcer: cores, Passwords: plain{}, Limits: limit, Overlap: w.overlap, IPv6Prefix: 64, Publish: w.publish, Log: log,
	})}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	if serve {
		desk := desk{p.Access, w.counting}
		wg.Go(func() { p.run("sites", w.t, cores.Run(ctx, desk)) })
		wg.Go(func() { p.run("access", w.t, p.Access.Run(ctx)) })
		wg.Go(func() { p.run("store", w.t, st.Run(ctx)) })
		if o.Door != nil {
			wg.Go(func() { p.run("door", w.t, o.Door.Serve(ctx, w.dial)) })
		}
	}
	p.stop = func() {
		cancel()
		wg.Wait()
		if err := st.Close(); err != nil {
			w.t.Error(err)
		}
	}
	return p
}

func (p *web) run(what string, t testing.TB, err error) {
	if err != nil {
		t.Errorf("%s: Run = %v", what, err)
	}
}

// halt ends the process of web.
func (w *world) halt() {
	if w.web != nil && w.stop != nil {
		w.stop()
		w.stop = nil
	}
}

// restart ends the process of web and starts another on the same database.
func (w *world) restart() {
	w.t.Helper()
	w.halt()
	w.start()
}

// patience is for what must come, on a machine under load, too.
const patience = 20 * time.Second

// until waits for a condition that is to come true soon.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("it never came true that %s", what)
		}
	}
}

// live waits until commands get through to the core.
func (w *world) live() {
	w.t.Helper()
	w.until("the link is up", func() bool { return w.cores.Health(w.site.ID).Connected })
}

func (w *world) sessions() []ownline.SessionInfo {
	w.t.Helper()
	ss, _, err := w.Sessions(w.t.Context(), access.Command(), access.SessionsAsk{All: true, SessionQuery: ownline.SessionQuery{Live: true, Page: ownline.Page{Limit: 200}}})
	if err != nil {
		w.t.Fatal(err)
	}
	return ss
}

// equal reports whether the core holds exactly what the database says is open, and how
// they differ.
func (w *world) equal() (string, bool) {
	var want, have []string
	for _, s := range w.sessions() {
		if s.State == ownline.Opening {
			return "opening: " + s.ID.String(), false
		}
		want = append(want, fmt.Sprint(s.ID, s.Source, s.PublicPort, s.Target, s.Expires))
	}
	for _, s := range w.core.Sessions() {
		have = append(have, fmt.Sprint(s.ID, s.Source, s.PublicPort, s.Target, s.Expires))
	}
	slices.Sort(want)
	slices.Sort(have)
	return fmt.Sprintf("want %v, core has %v", want, have), slices.Equal(want, have)
}

// converge waits until the core is equal to the database (invariant 5).
func (w *world) converge() {
	w.t.Helper()
	var why string
	end := time.Now().Add(patience)
	for ok := false; !ok; time.Sleep(2 * time.Millisecond) {
		if why, ok = w.equal(); !ok && time.Now().After(end) {
			w.t.Fatalf("core and database stay different: %s; health %+v", why, w.cores.Health(w.site.ID))
		}
	}
}

// knocked makes a fresh knock of the phone.
func (w *world) knocked(from netip.Addr) link.Knocked {
	nonce := make([]byte, 12)
	rand.Read(nonce)
	return link.Knocked{Device: w.phone.ID, Nonce: nonce, Made: time.Now().UTC().Truncate(time.Millisecond), Source: from, Skew: time.Minute}
}

// knock sends a knock through the core and returns what the device is told; nil: nothing.
func (w *world) knock(k link.Knocked) *coretest.Answer {
	w.t.Helper()
	return w.knockWithin(k, patience)
}

// ignored reports whether the device is told nothing.
func (w *world) ignored(k link.Knocked) bool {
	w.t.Helper()
	return w.knockWithin(k, 300*time.Millisecond) == nil
}

func (w *world) knockWithin(k link.Knocked, d time.Duration) *coretest.Answer {
	w.t.Helper()
	c, err := w.core.Knock(k)
	if err != nil {
		w.t.Fatal(err)
	}
	select {
	case a := <-c:
		return &a
	case <-time.After(d):
		return nil
	}
}
