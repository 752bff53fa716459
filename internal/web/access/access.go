package access

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/policy"
)

// Options are what an Access is made of.
type Options struct {
	Store      Store
	Enforcer   Enforcer
	Passwords  Passwords
	Countries  Countries // nil: nobody knows where addresses are
	ASNs       ASNs      // nil: nobody knows whose they are
	Limits     policy.Limits
	Overlap    time.Duration // that a session outlives its device's move to a new address
	IPv6Prefix int           // of new sites: bits of an IPv6 source that count, 48 to 128
	Reporter   Reporter      // nil: nobody is told the news
	Retention  Retention
	Broker     ownline.Broker // that new devices may knock through
	Signed     string         // host name of that broker, if a site's router signs its certificate; else ""
	OwnBroker  bool           // Broker is the one inside web: every device has a login of its own
	Publish    netip.AddrPort // where routers reach web; zero: it is not published at sites
	PublicURL  string         // of the pages, where people log in; "": they can where web is published
	Doorstep   bool           // guests are led to web while one is expected; needs Publish
	Meter      Meter          // nil: nobody counts
	Log        *slog.Logger
}

// Passwords turns a password into what is kept of it.
type Passwords interface {
	// Hash returns the argon2id hash of a password, or an error about the field "password"
	// when it is too weak to be kept.
	Hash(password string) (string, error)
	// CheckHash refuses what is not a hash that a password can be compared with, by an
	// error about the field "password_hash".
	CheckHash(hash string) error
}

// Reporter is told what has happened, once it is committed. It must not block: knocks wait.
type Reporter interface {
	Report(ownline.News)
}

// Access is the use cases. Safe for concurrent use.
type Access struct {
	store      Store
	enforcer   Enforcer
	passwords  Passwords
	countries  Countries
	asns       ASNs
	limits     policy.Limits
	overlap    time.Duration
	ipv6Prefix int
	reporter   Reporter
	retention  Retention
	publish    netip.AddrPort
	broker     ownline.Broker
	ownBroker  bool
	signed     string
	publicURL  string
	doorstep   bool
	meter      Meter
	log        *slog.Logger
	started    time.Time
	hub        *hub
	due        chan struct{} // holds one when a session may end before next
	next       atomic.Int64  // when Run looks for what is due, in Unix milliseconds
	turned     atomic.Int64  // when Run began its latest turn, in Unix milliseconds; 0: it does not run

	tally   tally      // of refused knocks
	guests  sync.Mutex // held while doorsteps are made to follow, until cores have
	order   sync.Mutex // held from before a commit until its events are published, so that they come in the order of commits
	changes int64      // of all processes, as far as readers of events know of them; -1: not known yet; guarded by order
}

// enforceTimeout bounds how long a use case waits for core.
const enforceTimeout = 5 * time.Second

// New makes the use cases; it starts nothing.
func New(o Options) *Access {
	started := time.Now()
	if o.Meter == nil {
		o.Meter = noMeter{}
	}
	return &Access{
		store: joining{o.Store}, enforcer: o.Enforcer, passwords: o.Passwords, countries: o.Countries, asns: o.ASNs, limits: o.Limits,
		overlap: o.Overlap, ipv6Prefix: o.IPv6Prefix, reporter: o.Reporter, retention: o.Retention, broker: o.Broker, ownBroker: o.OwnBroker, signed: o.Signed, publish: o.Publish, publicURL: strings.TrimSuffix(o.PublicURL, "/"), doorstep: o.Doorstep && o.Publish.IsValid(), meter: o.Meter, log: o.Log, started: started, hub: newHub(started), due: make(chan struct{}, 1),
		changes: -1,
	}
}

// Limits are those of the configuration; what a grant says can only be less.
func (a *Access) Limits() policy.Limits { return a.limits }

// now is the time as it is kept: whole milliseconds in UTC.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// forCore is a context for what must be finished although whoever asked has gone away.
func forCore(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), enforceTimeout)
}
