package sites

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// Desk is where it is decided what the cores should hold.
type Desk interface {
	// Commanded lists the sites whose cores are to be commanded, with their revisions.
	Commanded(context.Context) ([]ownline.Site, error)
	// Desired returns all that a site's core should hold, and which of the sessions are not
	// known to be applied.
	Desired(context.Context, ownline.SiteID) (link.State, []ownline.SessionID, error)
	// Knock decides on a knock: what to apply and answer, nil for nothing at all, and
	// sessions of the same revision to apply soon after.
	Knock(context.Context, ownline.SiteID, link.Knocked) (*link.Verdict, []link.Session, error)
	// KnockFwknop is Knock for a packet of an fwknop client.
	KnockFwknop(context.Context, ownline.SiteID, link.Fwknop) (*link.Verdict, []link.Session, error)
	// Again gives a verdict that core refused as stale a new revision.
	Again(context.Context, ownline.SiteID, link.Verdict) (link.Verdict, error)
	// Settle is told what became of sessions: they are applied, but for those with a problem.
	Settle(ctx context.Context, site ownline.SiteID, asked []ownline.SessionID, results []link.Result) error
	// Ended is told that core ended sessions; again reports that it should hold one of them
	// still.
	Ended(context.Context, ownline.SiteID, []link.Ended) (again bool, err error)
	// Traffic is told the counters of sessions.
	Traffic(context.Context, ownline.SiteID, []link.Traffic) error
	// Told is told what a core says of itself.
	Told(context.Context, ownline.SiteID, link.Status) error
	// Counted is told how often a core has refused knocks.
	Counted(context.Context, ownline.SiteID, link.Status) error
	// Cleared is told that a removed site's core holds nothing any more.
	Cleared(context.Context, ownline.SiteID) error
	// HealthChanged is told that Health says something else than before.
	HealthChanged(context.Context, ownline.SiteID) error
	// PairFile pairs with the core of a code that was found in the pair file, once.
	PairFile(ctx context.Context, code, host string) error
}

// Options are what Cores is made of.
type Options struct {
	Identity  *link.Identity // by which web proves itself to cores
	Keys      Keys           // where another identity may take its place; nil: none ever does
	Door      *link.Door     // where cores arrive that dial web; nil: none can
	PairFile  string         // a file in which a core leaves its pairing code; "": none
	PairHost  string         // the public name of a site that is paired by the file
	LookEvery time.Duration  // how often cores are asked how they are; 0: every 15 s
	Log       *slog.Logger
}

// Cores commands the cores of all sites. Safe for concurrent use.
type Cores struct {
	keys      Keys
	door      *link.Door
	pairFile  string
	pairHost  string
	lookEvery time.Duration
	log       *slog.Logger
	poke      chan struct{} // holds one when the list of sites is to be read now
	turned    atomic.Int64  // when Run began its latest turn, in Unix milliseconds; 0: it does not run

	mu       sync.Mutex // guards what follows
	identity *link.Identity
	pem      []byte // of the identity; nil: that of the options
	running  bool
	sites    map[ownline.SiteID]*site
	changed  chan struct{} // closed when sites or running change
}

const (
	pollEvery      = 250 * time.Millisecond // how soon changes by other processes are seen
	commandTimeout = 5 * time.Second
	stateTimeout   = 30 * time.Second
	pairTimeout    = 15 * time.Second
)

// New makes the commander of cores. Before Run, and without it, only Pair does anything.
func New(o Options) *Cores {
	return &Cores{
		keys: o.Keys, identity: o.Identity, door: o.Door, pairFile: o.PairFile, pairHost: o.PairHost, lookEvery: cmp.Or(o.LookEvery, lookEvery), log: o.Log,
		poke: make(chan struct{}, 1), sites: make(map[ownline.SiteID]*site), changed: make(chan struct{}),
	}
}

// Run keeps every site's core as the desk wants it, until ctx ends.
func (c *Cores) Run(ctx context.Context, desk Desk) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.setRunning(true)
	defer c.setRunning(false)
	if c.pairFile != "" {
		wg.Go(func() { c.watchPairFile(ctx, desk) })
	}
	stops := make(map[ownline.SiteID]func()) // each ends a site and waits for it
	defer func() {
		cancel()
		for _, stop := range stops {
			stop()
		}
	}()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	failing := false
	for {
		c.turned.Store(time.Now().UnixMilli())
		list, keys, err := c.look(ctx, desk)
		if ctx.Err() != nil {
			return nil
		}
		switch {
		case err != nil && !failing:
			c.log.Error("the sites to command can't be read; trying again", logging.Err, err)
		case err == nil && failing:
			c.log.Info("the sites to command can be read again")
		}
		failing = err != nil
		if err == nil {
			c.follow(ctx, desk, list, keys, stops)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-c.poke:
		}
	}
}

// Turned returns when Run last began to look at the list of sites, which it does several
// times a second; zero before it runs.
func (c *Cores) Turned() time.Time {
	if ms := c.turned.Load(); ms != 0 {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}

// follow starts, restarts and stops sites so that they are those of the list.
func (c *Cores) follow(ctx context.Context, desk Desk, list []ownline.Site, keys rotation, stops map[ownline.SiteID]func()) {
	listed := make(map[ownline.SiteID]bool, len(list))
	for _, row := range list {
		listed[row.ID] = true
		c.mu.Lock()
		s, id := c.sites[row.ID], c.identity
		c.mu.Unlock()
		if s != nil && s.link == row.Link && string(s.pin) == row.Pin && s.as == id {
			s.want(row.Revision, row.Removed)
			s.announce(keys.forCore(s.pin))
			continue
		}
		if s != nil {
			stops[row.ID]()
			delete(stops, row.ID)
		}
		client, err := c.client(id, row.Link, link.Pin(row.Pin))
		if err != nil {
			c.log.Debug("site can't be commanded", logging.Site, row.ID, logging.Err, err)
			continue
		}
		s = newSite(row, id, client, desk, c.keys, c.lookEvery, c.log.With(logging.Site, row.Name))
		siteCtx, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.run(siteCtx)
		}()
		stops[row.ID] = func() {
			stop()
			<-done
			s.drain()
			client.Close()
			c.put(row.ID, nil)
		}
		c.put(row.ID, s)
	}
	for id := range maps.Clone(stops) {
		if !listed[id] {
			stops[id]()
			delete(stops, id)
		}
	}
}

func (c *Cores) put(id ownline.SiteID, s *site) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s == nil {
		delete(c.sites, id)
	} else {
		c.sites[id] = s
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Cores) setRunning(r bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = r
	close(c.changed)
	c.changed = make(chan struct{})
}

// client makes the way to a core: by its address, or through the door when it dials web.
func (c *Cores) client(id *link.Identity, addr string, pin link.Pin) (*link.Client, error) {
	switch {
	case addr != "":
		return id.NewClient(addr, pin), nil
	case c.door != nil:
		return c.door.NewClient(pin), nil
	}
	return nil, ownline.Invalid("code", "is of a core that dials web, but no address is configured for cores to dial")
}

// site returns a site that is commanded. A new one is waited for until ctx ends.
func (c *Cores) site(ctx context.Context, id ownline.SiteID, wait bool) (*site, error) {
	for {
		c.mu.Lock()
		s, running, changed := c.sites[id], c.running, c.changed
		c.mu.Unlock()
		switch {
		case s != nil:
			return s, nil
		case !running || !wait:
			return nil, noCore(errors.New("nobody commands it now"))
		}
		select {
		case c.poke <- struct{}{}:
		default:
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, noCore(errors.New("it is not commanded yet"))
		}
	}
}

// Put opens or renews one session; nil means that core has applied it.
func (c *Cores) Put(ctx context.Context, id ownline.SiteID, revision uint64, l link.Session) error {
	s, err := c.site(ctx, id, false)
	if err != nil {
		return err
	}
	return s.put(ctx, revision, l)
}

// Pass lets a login in at a service, and has core take a code for it.
func (c *Cores) Pass(ctx context.Context, id ownline.SiteID, revision uint64, p link.Pass, code, state []byte) error {
	s, err := c.site(ctx, id, false)
	if err != nil {
		return err
	}
	return s.pass(ctx, revision, p, code, state)
}

// End closes sessions; nil means that core has applied it.
func (c *Cores) End(ctx context.Context, id ownline.SiteID, revision uint64, ids []ownline.SessionID) error {
	s, err := c.site(ctx, id, false)
	if err != nil {
		return err
	}
	return s.end(ctx, revision, ids)
}

// Sync has the whole state sent and waits until core has applied everything up to the
// revision. When the core can't be reached it does not wait.
func (c *Cores) Sync(ctx context.Context, id ownline.SiteID, revision uint64) error {
	s, err := c.site(ctx, id, true)
	if err != nil {
		return err
	}
	return s.sync(ctx, revision)
}

// Health tells how a site's core is reached.
func (c *Cores) Health(id ownline.SiteID) ownline.LinkHealth {
	c.mu.Lock()
	s, running := c.sites[id], c.running
	c.mu.Unlock()
	switch {
	case s != nil:
		return s.Health()
	case running:
		return ownline.LinkHealth{Error: "not commanded yet"}
	}
	return ownline.LinkHealth{}
}

// Ping has a site's core answer and returns how long that took, now or within the last second.
func (c *Cores) Ping(ctx context.Context, id ownline.SiteID) (time.Duration, error) {
	s, err := c.site(ctx, id, false)
	if err != nil {
		return 0, err
	}
	return s.ping(ctx)
}

// Certify has a site's core get a certificate for a key of web's. That may take minutes.
func (c *Cores) Certify(ctx context.Context, id ownline.SiteID, csr []byte) (link.Certificate, error) {
	site, err := c.site(ctx, id, false)
	if err != nil {
		return link.Certificate{}, err
	}
	return site.certify(ctx, csr)
}

// Reach asks a site's core whether something answers at a target.
func (c *Cores) Reach(ctx context.Context, id ownline.SiteID, target netip.AddrPort) (link.Reached, error) {
	site, err := c.site(ctx, id, false)
	if err != nil {
		return link.Reached{}, err
	}
	return site.reach(ctx, target)
}

// Preview asks a site's core what its proxy's configuration would have for a service.
func (c *Cores) Preview(ctx context.Context, id ownline.SiteID, s link.Service) (string, error) {
	site, err := c.site(ctx, id, false)
	if err != nil {
		return "", err
	}
	return site.preview(ctx, s)
}
