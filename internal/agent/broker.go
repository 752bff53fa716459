package agent

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/ownline/ownline/internal/broker"
	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
)

// patience is how long UDP has before the broker is tried as well.
const patience = 2 * time.Second

// knockThrough knocks through the profile's broker for one address family, until there is an
// answer or ctx ends.
func knockThrough(ctx context.Context, keys *knock.Keys, r Request, family string) Reply {
	reply := Reply{Family: family, Broker: r.Profile.Broker.URL, Err: ErrNoAnswer}
	claimed := r.Claimed.Unmap()
	if !claimed.IsValid() || claimed.Is4() != (family == "4") {
		var err error
		if claimed, err = PublicAddress(ctx, slices.Concat(r.Profile.Broker.AddressURLs, r.ClaimBy), family); err != nil {
			reply.Err = err
			return reply
		}
	}
	for ctx.Err() == nil {
		if reply = knockOnce(ctx, keys, r, reply, claimed); !errors.Is(reply.Err, ErrNoAnswer) && !errors.Is(reply.Err, errBrokerSilent) {
			break
		}
	}
	return reply
}

// errBrokerSilent says that the site was never asked: the broker is not there, or takes
// connections and says nothing.
var errBrokerSilent = errors.New("the broker does not answer")

// brokerAgain is how long an answer is waited for before another knock is sent.
const brokerAgain = 10 * time.Second

// knockOnce connects, because it has to be subscribed to the answer's own topic before it
// knocks, and leaves no connection behind.
func knockOnce(ctx context.Context, keys *knock.Keys, r Request, reply Reply, claimed netip.Addr) Reply {
	ctx, cancel := context.WithTimeout(ctx, brokerAgain)
	defer cancel()
	b := r.Profile.Broker
	answers := make(chan []byte, 8)
	var nonce knock.Nonce
	rand.Read(nonce[:]) // never fails: crypto/rand crashes the program instead
	up := make(chan struct{})
	authorities, err := vouching(b)
	if err != nil {
		reply.Err = err
		return reply
	}
	conn, err := broker.New(broker.Options{
		URL: b.URL, Username: b.Username, Password: b.Password, Authorities: authorities, Up: func() { close(up) }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		reply.Err = err
		return reply
	}
	if !r.Silent {
		conn.Handle(keys.AnswerTopic(nonce), func(_ context.Context, payload []byte) {
			select {
			case answers <- payload:
			default: // somebody floods the topic
			}
		})
	}
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- conn.Run(running) }()
	defer func() {
		stop()
		<-done // nothing is to be done about how it ended
	}()
	select {
	case <-up:
	case <-ctx.Done():
		if s := conn.Status(); s.Error != "" {
			reply.Err = fmt.Errorf("the broker can't be reached: %s", s.Error)
		} else if errors.Is(ctx.Err(), context.DeadlineExceeded) { // and not because another way was answered
			reply.Err = errBrokerSilent
		}
		return reply
	}
	at := time.Now()
	p := keys.Seal(knock.Knock{
		Nonce: nonce, Time: at, AnswerWanted: !r.Silent, Service: r.Service, Duration: r.Duration, Claimed: claimed,
	})
	if err := conn.Publish(ctx, cmp.Or(b.Topic, ownline.DefaultTopic), p[:]); err != nil {
		reply.Err = err
		return reply
	}
	reply.Sent++
	reply.Err = ErrNoAnswer
	if r.Silent {
		reply.Err = nil
		return reply
	}
	for {
		select {
		case <-ctx.Done():
			return reply
		case payload := <-answers:
			if len(payload) != knock.Size {
				continue
			}
			sealed := knock.Packet(payload)
			if a, err := keys.OpenAnswer(&sealed, nonce); err == nil {
				return reply.answered(a, at)
			}
		}
	}
}

// vouching are those whom the device believes that a broker is the one of its profile; nil: the
// system's authorities.
func vouching(b ownline.Broker) (*x509.CertPool, error) {
	if len(b.Authority) == 0 {
		return nil, nil
	}
	c, err := x509.ParseCertificate(b.Authority)
	if err != nil {
		return nil, fmt.Errorf("the profile's certificate for the broker: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	pool.AddCert(c)
	return pool, nil
}
