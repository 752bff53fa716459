// Package broker is the one connection to an MQTT broker, of version 5 or 3.1.1: it subscribes
// for the rooms that handle what arrives, and publishes for them. What the messages mean is
// for those rooms. Nothing that a broker sends can grow our memory.
package broker

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"golang.org/x/sync/errgroup"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// Bounds. Whoever may publish at the broker can send whatever and as often as they like.
const (
	maxPacket      = 4096 // bytes; of a larger one nothing is looked at
	maxQueue       = 256  // messages of a topic that wait for its handler; more are dropped
	workers        = 16   // calls of a handler at once: they may wait for routers
	keepAlive      = 30   // seconds
	connectTimeout = 10 * time.Second
	publishTimeout = 10 * time.Second
	firstPause     = time.Second
	longestPause   = time.Minute
	steady         = time.Minute // a connection that has held for so long was a good one
)

// Options are what a Conn is made of.
type Options struct {
	URL         string // tcp://, tls://, ws:// or wss://, HOST[:PORT]
	Username    string
	Password    ownline.Secret
	Authorities *x509.CertPool   // nil: the system's
	Certificate *tls.Certificate // that shows the broker who we are; nil: none
	// Reload, if not nil, is called before every connection, and may set anew what shows who
	// we are, the password too, and whom we trust.
	Reload func(*Options) error
	Up     func() // called once, when it is subscribed for the first time; nil: nobody waits
	Log    *slog.Logger
}

// Status tells how the broker is reached.
type Status struct {
	Connected bool
	Since     time.Time // of the present state
	Error     string    // why it is not connected; "": nothing is known to be wrong
}

// Conn is the connection. Give it its handlers before it runs. Safe for concurrent use.
type Conn struct {
	o     Options
	url   *url.URL
	inbox *Inbox
	// version is the one that the broker has understood; only Run knows it.
	version byte

	mu          sync.Mutex // guards what follows
	session     *session   // nil: there is none
	status      Status
	connections uint64
}

// New makes a Conn; it starts nothing.
func New(o Options) (*Conn, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Hostname() == "" {
		return nil, ownline.Invalid("mqtt.url", "is not an address like tls://broker.example.org:8883")
	}
	port, ok := map[string]string{"tcp": "1883", "tls": "8883", "ws": "80", "wss": "443"}[u.Scheme]
	if !ok {
		return nil, ownline.Invalid("mqtt.url", "must begin with tcp://, tls://, ws:// or wss://")
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), port)
	}
	return &Conn{o: o, url: u, inbox: NewInbox(), status: Status{Since: time.Now()}, version: version5}, nil
}

// Handle has h called for every message that is published to the topic while we are
// connected; not for those that the broker retained. Call it before Run.
func (c *Conn) Handle(name string, h Handler) { c.inbox.Handle(name, h) }

// Status tells how the broker is reached now.
func (c *Conn) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// Counts are what has happened since the start.
type Counts struct {
	Connections uint64 // how often the broker was reached
	Taken       uint64 // messages that a handler got
	Dropped     uint64 // because too many waited
}

// Counts returns what has happened since the start.
func (c *Conn) Counts() (n Counts) {
	n.Taken, n.Dropped = c.inbox.Counts()
	c.mu.Lock()
	defer c.mu.Unlock()
	n.Connections = c.connections
	return n
}

// Publish sends a message and waits until the broker has it.
func (c *Conn) Publish(ctx context.Context, topic string, payload []byte) error {
	c.mu.Lock()
	s := c.session
	c.mu.Unlock()
	if s == nil {
		return fmt.Errorf("publish: the broker is not connected: %w", ownline.ErrUnavailable)
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if err := s.publish(ctx, topic, payload); err != nil {
		return fmt.Errorf("publish: %w: %w", ownline.ErrUnavailable, err)
	}
	return nil
}

// Run keeps the connection up, and comes back with growing pauses, until ctx ends.
func (c *Conn) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.inbox.Run(ctx) })
	g.Go(func() error {
		pause := firstPause
		for {
			began := time.Now()
			err := c.connected(ctx)
			if ctx.Err() != nil {
				return nil
			}
			c.say(Status{Error: err.Error()})
			if time.Since(began) > steady {
				pause = firstPause
			}
			if !sleep(ctx, pause) {
				return nil
			}
			pause = min(2*pause, longestPause)
		}
	})
	return g.Wait()
}

// sleep waits, and reports whether ctx has not ended meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// connected connects, and stays so until the connection or ctx ends. It always says why.
func (c *Conn) connected(ctx context.Context) error {
	s, err := c.connect(ctx)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.run(c.received) }()
	c.hold(s)
	defer c.hold(nil)
	ask, pause := time.NewTimer(0), firstPause
	defer ask.Stop()
	ping := time.NewTicker(s.keepAlive)
	defer ping.Stop()
	for {
		select {
		case <-ctx.Done():
			s.close()
			<-ended
			return ctx.Err()
		case err := <-ended:
			return err
		case <-ask.C:
			if err := c.subscribe(ctx, s); err != nil && ctx.Err() == nil {
				c.say(Status{Error: "subscribe: " + err.Error()})
				ask.Reset(pause) // an admin may mend our rights
				pause = min(2*pause, longestPause)
			}
		case <-ping.C:
			if err := s.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}}); err != nil {
				s.conn.Close() // which ends the reader
			}
		}
	}
}

// connect opens a session in the version of MQTT that the broker understands.
func (c *Conn) connect(ctx context.Context) (*session, error) {
	o := c.o
	if o.Reload != nil {
		if err := o.Reload(&o); err != nil {
			return nil, err
		}
	}
	version := c.version
	s, err := c.speak(ctx, o, version)
	if errors.Is(err, errVersion) && ctx.Err() == nil {
		other := byte(version5 + version3 - version)
		var again error
		if s, again = c.speak(ctx, o, other); again == nil || !errors.Is(again, errVersion) {
			version, err = other, again
		}
	}
	if err != nil {
		return nil, err
	}
	c.version = version
	return s, nil
}

// speak opens a session in one version of MQTT.
func (c *Conn) speak(ctx context.Context, o Options, version byte) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := dial(ctx, c.url, o)
	if err != nil {
		return nil, err
	}
	return open(ctx, conn, version, o, clientID())
}

func (c *Conn) hold(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = s
	if s != nil {
		c.connections++
	}
}

// clientID is another one at every connection: a broker cuts the older of two clients that
// have the same, and there may be replicas. 23 letters and digits are what every broker takes.
func clientID() string {
	b := make([]byte, 8)
	rand.Read(b) // never fails: crypto/rand crashes the program instead
	return "ownline" + hex.EncodeToString(b)
}

// subscribe asks for every topic that has a handler, and says that we are connected.
func (c *Conn) subscribe(ctx context.Context, s *session) error {
	if topics := slices.Sorted(maps.Keys(c.inbox.topics)); len(topics) > 0 {
		ctx, cancel := context.WithTimeout(ctx, connectTimeout)
		defer cancel()
		if err := s.subscribe(ctx, topics); err != nil {
			return err
		}
	}
	c.say(Status{Connected: true})
	return nil
}

// say takes note of how the broker is reached, and logs what has changed.
func (c *Conn) say(s Status) {
	s.Since = time.Now()
	c.mu.Lock()
	was := c.status
	if s.Connected == was.Connected && s.Error == was.Error {
		c.mu.Unlock()
		return
	}
	c.status = s
	up := c.o.Up
	if s.Connected {
		c.o.Up = nil
	}
	c.mu.Unlock()
	if s.Connected && up != nil {
		up()
	}
	if s.Connected {
		c.o.Log.Info("connected to the broker", "broker", c.url.Redacted())
	} else {
		c.o.Log.Warn("the broker can't be reached; trying again", "broker", c.url.Redacted(), logging.Err, s.Error)
	}
}

// received queues a message; it is called from the session's reader and must not wait.
func (c *Conn) received(topic string, payload []byte, retained bool) {
	if retained {
		return
	}
	if _, first := c.inbox.Take(topic, payload); first {
		c.o.Log.Warn("more messages arrive through the broker than can be looked at; dropping some")
	}
}
