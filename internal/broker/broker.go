// Package broker is the one connection to an MQTT broker: it subscribes for the rooms that
// handle what arrives, and publishes for them. What the messages mean is for those rooms.
package broker

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
	"golang.org/x/sync/errgroup"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// Bounds. Whoever may publish at the broker can send whatever and as often as they like.
const (
	maxPacket      = 4096 // bytes; the broker sends none that is larger
	maxQueue       = 256  // messages of a topic that wait for its handler; more are dropped
	workers        = 16   // calls of a handler at once: they may wait for routers
	keepAlive      = 30   // seconds
	connectTimeout = 10 * time.Second
	publishTimeout = 10 * time.Second
	firstPause     = time.Second
	longestPause   = time.Minute
)

// Options are what a Conn is made of.
type Options struct {
	URL         string // tcp://, tls://, ws:// or wss://, HOST[:PORT]
	Username    string
	Password    ownline.Secret
	Authorities *x509.CertPool // nil: the system's
	Up          func()         // called once, when it is subscribed for the first time; nil: nobody waits
	Log         *slog.Logger
}

// Handler takes a message. It may take its time: others of the same topic are handled beside it.
type Handler func(ctx context.Context, payload []byte)

// Status tells how the broker is reached.
type Status struct {
	Connected bool
	Since     time.Time // of the present state
	Error     string    // why it is not connected; "": nothing is known to be wrong
}

// Conn is the connection. Give it its handlers before it runs. Safe for concurrent use.
type Conn struct {
	o      Options
	url    *url.URL
	topics map[string]topic

	mu      sync.Mutex // guards what follows
	manager *autopaho.ConnectionManager
	status  Status
	dropped int
}

// topic is one that is subscribed to. Those of one never wait for those of another.
type topic struct {
	handler Handler
	queue   chan []byte // payloads
}

// New makes a Conn; it starts nothing.
func New(o Options) (*Conn, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Hostname() == "" {
		return nil, ownline.Invalid("mqtt.url", "is not an address like tls://broker.example.org:8883")
	}
	if u.Port() == "" {
		port, ok := map[string]string{"tcp": "1883", "tls": "8883", "ws": "80", "wss": "443"}[u.Scheme]
		if !ok {
			return nil, ownline.Invalid("mqtt.url", "must begin with tcp://, tls://, ws:// or wss://")
		}
		u.Host = net.JoinHostPort(u.Hostname(), port)
	}
	return &Conn{o: o, url: u, topics: make(map[string]topic), status: Status{Since: time.Now()}}, nil
}

// Handle has h called for every message that is published to the topic while we are
// connected; not for those that the broker retained. Call it before Run.
func (c *Conn) Handle(name string, h Handler) {
	c.topics[name] = topic{h, make(chan []byte, maxQueue)}
}

// Status tells how the broker is reached now.
func (c *Conn) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// Publish sends a message and waits until the broker has it.
func (c *Conn) Publish(ctx context.Context, topic string, payload []byte) error {
	c.mu.Lock()
	m := c.manager
	c.mu.Unlock()
	if m == nil {
		return fmt.Errorf("publish: the broker is not connected: %w", ownline.ErrUnavailable)
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if _, err := m.Publish(ctx, &paho.Publish{Topic: topic, QoS: 1, Payload: payload}); err != nil {
		return fmt.Errorf("publish: %w: %w", ownline.ErrUnavailable, err)
	}
	return nil
}

// Run keeps the connection up, and comes back with growing pauses, until ctx ends.
func (c *Conn) Run(ctx context.Context) error {
	up := make(chan struct{}, 1)
	cfg := autopaho.ClientConfig{
		ServerUrls: []*url.URL{c.url}, KeepAlive: keepAlive, CleanStartOnInitialConnection: true,
		TlsCfg:           &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.o.Authorities, ServerName: c.url.Hostname()},
		ReconnectBackoff: autopaho.NewExponentialBackoff(firstPause, longestPause, 2*firstPause, 2),
		ConnectTimeout:   connectTimeout, ConnectUsername: c.o.Username, ConnectPassword: c.o.Password,
		ConnectPacketBuilder: func(p *paho.Connect, _ *url.URL) (*paho.Connect, error) {
			most := uint32(maxPacket)
			p.CleanStart = true // what came while we were away has become stale
			p.Properties = &paho.ConnectProperties{MaximumPacketSize: &most}
			return p, nil
		},
		OnConnectionUp: func(*autopaho.ConnectionManager, *paho.Connack) {
			select {
			case up <- struct{}{}:
			default:
			}
		},
		OnConnectionDown: func() bool {
			c.say(Status{Error: "the connection was lost"})
			return true
		},
		OnConnectError: func(err error) {
			if ctx.Err() == nil {
				c.say(Status{Error: err.Error()})
			}
		},
		ClientConfig: paho.ClientConfig{
			ClientID:          clientID(),
			OnPublishReceived: []func(paho.PublishReceived) (bool, error){c.received},
		},
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, t := range c.topics {
		for range workers {
			g.Go(func() error { return t.work(gctx) })
		}
	}
	g.Go(func() error {
		m, err := autopaho.NewConnection(gctx, cfg)
		if err != nil {
			return fmt.Errorf("broker: %w", err)
		}
		c.setManager(m)
		defer func() {
			c.setManager(nil)
			<-m.Done()
		}()
		var again <-chan time.Time
		pause := firstPause
		for {
			select {
			case <-gctx.Done():
				return nil
			case <-up:
				pause = firstPause
			case <-again:
				pause = min(2*pause, longestPause)
			}
			again = nil
			if !c.subscribe(gctx, m) {
				again = time.After(pause)
			}
		}
	})
	return g.Wait()
}

func (c *Conn) setManager(m *autopaho.ConnectionManager) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.manager = m
}

// clientID is another one at every start: a broker cuts the older of two clients that have
// the same, and there may be replicas.
func clientID() string {
	b := make([]byte, 8)
	rand.Read(b) // never fails: crypto/rand crashes the program instead
	return "ownline-" + hex.EncodeToString(b)
}

// subscribe asks for every topic that has a handler, and reports whether it has them.
func (c *Conn) subscribe(ctx context.Context, m *autopaho.ConnectionManager) bool {
	var s paho.Subscribe
	for name := range c.topics {
		// 2: nothing that was retained. What is old is of no use to anybody.
		s.Subscriptions = append(s.Subscriptions, paho.SubscribeOptions{Topic: name, QoS: 1, RetainHandling: 2})
	}
	if len(s.Subscriptions) > 0 {
		ctx, cancel := context.WithTimeout(ctx, connectTimeout)
		defer cancel()
		if _, err := m.Subscribe(ctx, &s); err != nil {
			if ctx.Err() == nil {
				c.say(Status{Error: "subscribe: " + err.Error()})
			}
			return false
		}
	}
	c.say(Status{Connected: true})
	return true
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

// received queues a message; it is called from the library's reader and must not wait.
func (c *Conn) received(p paho.PublishReceived) (bool, error) {
	t, ok := c.topics[p.Packet.Topic]
	if !ok || p.Packet.Retain {
		return true, nil
	}
	select {
	case t.queue <- p.Packet.Payload:
	default: // a flood: an honest guest or device tries again
		c.mu.Lock()
		c.dropped++
		first := c.dropped == 1
		c.mu.Unlock()
		if first {
			c.o.Log.Warn("more messages arrive through the broker than can be looked at; dropping some")
		}
	}
	return true, nil
}

func (t topic) work(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case payload := <-t.queue:
			t.handler(ctx, payload)
		}
	}
}
