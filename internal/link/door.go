package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// Door is where cores that dial web arrive. A client made by Door.NewClient waits for its
// core to come in.
type Door struct {
	log *slog.Logger

	mu       sync.Mutex // guards the following
	identity *Identity
	waiting  map[Pin]chan arrival
}

// arrival is a core that has come in, and whom it met.
type arrival struct {
	net.Conn
	met *Identity
}

// NewDoor makes web's door; nothing arrives before Serve.
func NewDoor(id *Identity, log *slog.Logger) *Door {
	return &Door{identity: id, log: log, waiting: make(map[Pin]chan arrival)}
}

// Use has cores meet another identity from now on. Those that have come in already, and that
// no client has taken, are turned away.
func (d *Door) Use(id *Identity) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.identity = id
}

func (d *Door) present() *Identity {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.identity
}

// NewClient commands the core with that pin over the connections that it opens.
func (d *Door) NewClient(core Pin) *Client {
	return newClient(func(ctx context.Context) (net.Conn, error) {
		for {
			select {
			case c := <-d.queue(core):
				if c.met == d.present() {
					return c.Conn, nil
				}
				c.Close() // it dials again
			case <-ctx.Done():
				return nil, fmt.Errorf("core has not dialled: %w", ctx.Err())
			}
		}
	})
}

func (d *Door) queue(core Pin) chan arrival {
	d.mu.Lock()
	defer d.mu.Unlock()
	q, ok := d.waiting[core]
	if !ok {
		q = make(chan arrival)
		d.waiting[core] = q
	}
	return q
}

// expected reports whether a client waits, or has waited, for that core: strangers are
// turned away in the handshake.
func (d *Door) expected(p Pin) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.waiting[p]; !ok {
		return ErrUnpaired
	}
	return nil
}

// Serve takes connections until ctx ends, closes the listener and waits for what it
// started.
func (d *Door) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	crowd := newCrowd()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil && errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("accept a core: %w", err)
		}
		leave, ok := crowd.enter(conn.RemoteAddr())
		if !ok {
			conn.Close()
			continue
		}
		wg.Go(func() {
			defer leave()
			if err := d.admit(ctx, conn); err != nil {
				conn.Close()
				d.log.Debug("core turned away", "addr", conn.RemoteAddr(), "err", err)
			}
		})
	}
}

// handshakeWithin is how long somebody may take to prove who they are.
const handshakeWithin = 3 * time.Second

func (d *Door) admit(ctx context.Context, conn net.Conn) error {
	id := d.present()
	c := tls.Server(conn, id.tlsConfig(d.expected))
	prove, cancel := context.WithTimeout(ctx, handshakeWithin)
	defer cancel()
	if err := c.HandshakeContext(prove); err != nil {
		return err
	}
	ctx, cancel = context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	state := c.ConnectionState()
	pin, _ := peerPin(&state)
	select {
	case d.queue(pin) <- arrival{c, id}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("nobody wants this core now: %w", ownline.ErrUnavailable)
	}
}
