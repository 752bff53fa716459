// Package mqttbroker is an MQTT broker inside web, for those who run no other: devices, and
// guests of an exported page, get in by TCP or WebSocket through one port, and can do nothing
// but publish to the topic of their kind and read answers whose topic they know. What they
// publish goes to web alone; nothing is kept.
package mqttbroker

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"golang.org/x/sync/errgroup"

	"github.com/ownline/ownline/internal/broker"
	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/follow"
)

// Bounds. Strangers reach this port.
const (
	maxPacket      = 4096             // bytes
	maxConnections = 1000             // at once; those behind one address have less:
	perAddress     = 64               // connections from one IPv4 address or IPv6 /64
	perDevice      = 4                // connections of one device
	allGuests      = 200              // connections of all guests, who share a name,
	perGuest       = 8                // and of those behind one address: the name is no secret
	waiting        = 32               // packets for a client that reads slowly; more are dropped
	answers        = 16               // topics that one connection may read
	burst          = 60               // packets of one connection at once,
	refill         = time.Second      // and how often it may send another
	helloTimeout   = 10 * time.Second // from the first byte until the name is known
	writeTimeout   = 10 * time.Second
	longestSilence = 5 * time.Minute // a client has to say something
	tellAgain      = time.Hour       // of packets that can't be read
)

// Reasons for which a client is turned away.
const (
	crowded      = "crowded"      // too many connections
	login        = "login"        // the name or the password is wrong
	topic        = "topic"        // published to where it has no business
	subscription = "subscription" // wanted to read what is not its
	rate         = "rate"         // sends too much
	retained     = "retained"     // wanted a message to be kept
	malformed    = "malformed"    // sent what the library can't read
)

// Devices tells who may get in.
type Devices interface {
	Knockers(context.Context) ([]access.SiteDevices, error)
}

// Options are what a Broker is made of.
type Options struct {
	Devices         Devices
	Topic           string // that devices publish to
	InvitationTopic string // that guests publish to
	Guest           string // the guests' name; "": there are none
	GuestPassword   ownline.Secret
	Certificate     func(*tls.ClientHelloInfo) (*tls.Certificate, error) // nil: no TLS
	Log             *slog.Logger
}

// Broker is the broker. Give it its handlers before it serves. Safe for concurrent use.
type Broker struct {
	o      Options
	inbox  *broker.Inbox
	server *mqtt.Server

	mu      sync.Mutex // guards what follows, and every account's connections
	since   time.Time  // when it began to serve; zero: it does not
	lines   map[*line]bool
	from    map[netip.Prefix]int // connections
	people  map[string]*account  // by name
	total   uint64               // connections since the start
	refused map[string]uint64    // by reason
	told    time.Time            // when the log was last told of malformed packets
	wrongs  wrongs
}

// account is who may get in.
type account struct {
	name        string
	password    [sha256.Size]byte // hashed, to compare in constant time
	topic       string
	most        int // connections
	fromOne     int // of those behind one address; 0: as many as most
	connections int
}

// New makes a Broker; it starts nothing.
func New(o Options) (*Broker, error) {
	b := &Broker{
		o: o, inbox: broker.NewInbox(), lines: make(map[*line]bool), from: make(map[netip.Prefix]int),
		people: make(map[string]*account), refused: make(map[string]uint64),
	}
	limits := mqtt.NewDefaultServerCapabilities()
	limits.MaximumClients, limits.MaximumPacketSize = maxConnections, maxPacket
	limits.MaximumClientWritesPending, limits.ReceiveMaximum, limits.MaximumInflight = waiting, waiting, waiting
	limits.MaximumSessionExpiryInterval, limits.MaximumMessageExpiryInterval, limits.TopicAliasMaximum = 0, 60, 0
	limits.MaximumQos = 1
	limits.RetainAvailable, limits.WildcardSubAvailable, limits.SharedSubAvailable, limits.SubIDAvailable = 0, 0, 0, 0
	limits.MinimumProtocolVersion = 4
	// It is not told to serve: we bring it connections, and it has nothing to keep house of.
	b.server = mqtt.New(&mqtt.Options{Capabilities: limits, InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	if err := b.server.AddHook(&rules{broker: b}, nil); err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	return b, nil
}

// Handle has h called for every message to the topic. Call it before Serve.
func (b *Broker) Handle(name string, h broker.Handler) { b.inbox.Handle(name, h) }

// Publish sends a message to whoever reads the topic now.
func (b *Broker) Publish(_ context.Context, name string, payload []byte) error {
	if err := b.server.Publish(name, payload, false, 1); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}

// Status tells how the broker does.
type Status struct {
	Serving bool
	Since   time.Time
	Clients int // who are connected and known
	Logins  Logins
}

// Status tells how the broker does now.
func (b *Broker) Status() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Status{Serving: !b.since.IsZero(), Since: b.since, Logins: b.wrongs.Logins}
	for l := range b.lines {
		if l.account != nil {
			s.Clients++
		}
	}
	return s
}

// Counts are what has happened since the start.
type Counts struct {
	broker.Counts
	Refused map[string]uint64 // by reason
}

// Counts returns what has happened since the start.
func (b *Broker) Counts() (n Counts) {
	n.Taken, n.Dropped = b.inbox.Counts()
	b.mu.Lock()
	defer b.mu.Unlock()
	n.Connections, n.Refused = b.total, maps.Clone(b.refused)
	return n
}

// Serve takes connections from the listener until ctx ends; then it closes them and it.
func (b *Broker) Serve(ctx context.Context, l net.Listener, changes follow.Changes) error {
	b.mu.Lock()
	b.since = time.Now()
	b.mu.Unlock()
	b.o.Log.Info("the embedded broker listens", "listen", l.Addr().String(), "tls", b.o.Certificate != nil)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return b.inbox.Run(ctx) })
	g.Go(func() error {
		follow.Run(ctx, changes, b.look, b.o.Log, access.EventDevice, access.EventUser, access.EventSite)
		return nil
	})
	g.Go(func() error { return b.accept(ctx, l) })
	g.Go(func() error {
		<-ctx.Done()
		l.Close()
		return nil
	})
	err := g.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.since = time.Time{}
	return err
}

// look reads who may get in, and cuts those off who no longer may.
func (b *Broker) look(ctx context.Context) error {
	sites, err := b.o.Devices.Knockers(ctx)
	if err != nil {
		return err
	}
	people := make(map[string]*account)
	add := func(name string, password ownline.Secret, topic string, most, fromOne int) {
		people[name] = &account{name: name, password: sha256.Sum256(password), topic: topic, most: most, fromOne: fromOne}
	}
	for _, s := range sites {
		for _, d := range s.Devices {
			password, err := knock.BrokerPassword(d.Secret, s.Site)
			if err != nil {
				return fmt.Errorf("device %s: %w", d.ID, err)
			}
			add(d.ID.String(), password, b.o.Topic, perDevice, 0)
		}
	}
	if b.o.Guest != "" {
		add(b.o.Guest, b.o.GuestPassword, b.o.InvitationTopic, allGuests, perGuest)
	}
	b.mu.Lock()
	var cut []*line
	for name, now := range people {
		if was := b.people[name]; was != nil && was.password == now.password {
			people[name] = was
		}
	}
	b.people = people
	for l := range b.lines {
		if l.account != nil && people[l.account.name] != l.account {
			cut = append(cut, l)
		}
	}
	b.mu.Unlock()
	for _, l := range cut {
		l.Close()
	}
	return nil
}

// enter lets somebody in by name and password.
func (b *Broker) enter(l *line, name string, password []byte) bool {
	known, ok := b.judge(l, name, password)
	if !known {
		b.turnAway(l, name)
	}
	return ok
}

// judge says whether name and password are right, and whether there is room for one more connection,
// which is the account's then.
func (b *Broker) judge(l *line, name string, password []byte) (known, ok bool) {
	hash := sha256.Sum256(password)
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.people[name]
	var want [sha256.Size]byte
	if a != nil {
		want = a.password
	}
	switch {
	case subtle.ConstantTimeCompare(hash[:], want[:]) != 1 || a == nil:
		return false, false
	case a.connections >= a.most || a.fromOne > 0 && b.behind(l.from, a) >= a.fromOne:
		b.refused[crowded]++
		return true, false
	}
	a.connections++
	l.account = a
	b.total++
	return true, true
}

// behind counts an account's connections from one address. Call it with mu held.
func (b *Broker) behind(from netip.Prefix, a *account) (n int) {
	for l := range b.lines {
		if l.account == a && l.from == from {
			n++
		}
	}
	return n
}

func (b *Broker) refuse(reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused[reason]++
}

// take hands what somebody has published to its handler.
func (b *Broker) take(topic string, payload []byte) {
	if _, first := b.inbox.Take(topic, payload); first {
		b.o.Log.Warn("more messages arrive at the embedded broker than can be looked at; dropping some")
	}
}
