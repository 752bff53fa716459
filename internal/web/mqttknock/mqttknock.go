// Package mqttknock takes knocks through a broker, from networks where no UDP gets to the
// router: it opens the sealed packet, judges it by the rules of UDP knocks, has access decide,
// and publishes the sealed answer to the topic of that knock. What is no genuine knock costs
// one look into a table, and gets no answer.
package mqttknock

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/follow"
)

// Desk is what a Room wishes of the use cases.
type Desk interface {
	Knockers(context.Context) ([]access.SiteDevices, error)
	KnockByBroker(context.Context, ownline.SiteID, link.Knocked) (*link.Verdict, error)
}

// Publisher sends a message to a topic of the broker that a knock came through.
type Publisher interface {
	Publish(ctx context.Context, topic string, payload []byte) error
}

// Meter counts knocks, by what became of them: one of the results below.
type Meter interface {
	KnockedByBroker(result string)
}

// Results, by which knocks are counted.
const (
	taken    = "taken"    // access has decided, or the knock waits for its core
	noise    = "noise"    // of no device, or damaged
	source   = "source"   // without a public address
	clock    = "clock"    // too old, or of the future
	repeated = "repeated" // seen before
	ignored  = "ignored"  // access does not count it, and knows why
	flood    = "flood"    // more than a device sends
	failed   = "failed"   // the server's own fault
)

const (
	perMinute = 60 // genuine knocks of one device that are looked at
	atOnce    = 4  // of them that may wait for a router: others' knocks need room, too
)

// Room takes knocks. Safe for concurrent use.
type Room struct {
	desk  Desk
	meter Meter
	skew  time.Duration
	log   *slog.Logger

	mu      sync.Mutex // guards what follows, and every device's memory, minute, count and waiting
	devices map[deviceKey]*device
	table   map[knock.HintValue]*device // by how the knocks of now begin
}

// deviceKey is a device and the secret that its keys were made from: a new one makes new keys.
type deviceKey struct {
	id     ownline.DeviceID
	secret string
}

// device is one whose knocks count.
type device struct {
	id   ownline.DeviceID
	site ownline.SiteID
	keys *knock.Keys

	turn    sync.Mutex // held while a knock is carried out: core is told of one after the other
	memory  knock.Memory
	minute  int64 // the one that count is of
	count   int
	waiting int
}

// New makes a Room that takes knocks whose clock differs from ours by no more than skew. It
// starts nothing.
func New(d Desk, m Meter, skew time.Duration, log *slog.Logger) *Room {
	return &Room{desk: d, meter: m, skew: skew, log: log}
}

// Run keeps the table of devices until ctx ends.
func (r *Room) Run(ctx context.Context, changes follow.Changes) error {
	follow.Run(ctx, changes, r.look, r.log, access.EventDevice, access.EventUser, access.EventSite)
	return nil
}

// look reads which devices there are, and makes the table of how their knocks begin.
func (r *Room) look(ctx context.Context) error {
	sites, err := r.desk.Knockers(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	had := r.devices
	r.mu.Unlock()
	devices := make(map[deviceKey]*device)
	table := make(map[knock.HintValue]*device)
	epoch := knock.EpochOf(time.Now())
	for _, s := range sites {
		for _, l := range s.Devices {
			key := deviceKey{l.ID, string(l.Secret)}
			d := had[key]
			if d == nil {
				keys, err := knock.DeriveKeys(l.Secret, s.Site)
				if err != nil {
					return fmt.Errorf("device %s: %w", l.ID, err)
				}
				d = &device{id: l.ID, site: s.Site, keys: keys}
			}
			devices[key] = d
			for e := max(epoch, 1) - 1; e <= epoch+1; e++ {
				table[d.keys.Hint(e)] = d
			}
		}
	}
	r.mu.Lock()
	r.devices, r.table = devices, table
	r.mu.Unlock()
	return nil
}

// From returns what takes the messages of one broker, through which answers go as well. A
// knock counts once, whichever broker it comes through.
func (r *Room) From(p Publisher) func(context.Context, []byte) {
	return func(ctx context.Context, message []byte) { r.meter.KnockedByBroker(r.handle(ctx, p, message)) }
}

// handle takes one message and returns what became of it.
func (r *Room) handle(ctx context.Context, publisher Publisher, message []byte) string {
	p, ok := knock.FromMessage(message)
	if !ok {
		return noise
	}
	r.mu.Lock()
	d := r.table[knock.HintValue(p[:knock.HintSize])]
	r.mu.Unlock()
	if d == nil {
		return noise
	}
	n, err := d.keys.Open(&p)
	if err != nil {
		return noise
	}
	// A broker knows no source: only what the device says counts.
	if !n.Claimed.IsValid() || ownline.KindOf(n.Claimed) != ownline.SourcePublic {
		return source
	}
	now := time.Now()
	if !knock.Fresh(n.Time, now, r.skew) {
		return clock
	}
	if refused := r.admit(d, n, now); refused != "" {
		return refused
	}
	defer r.leave(d)
	d.turn.Lock()
	defer d.turn.Unlock()
	v, err := r.desk.KnockByBroker(ctx, d.site, link.Knocked{
		Device: d.id, Nonce: n.Nonce[:], Made: n.Time, Source: n.Claimed, Claimed: n.Claimed,
		Service: n.Service, Duration: n.Duration, Skew: r.skew,
	})
	switch {
	case errors.Is(err, ownline.ErrUnavailable):
		r.log.Info("a knock waits for its core", logging.Device, d.id, logging.Source, n.Claimed, logging.Err, err)
	case err != nil:
		if ctx.Err() == nil {
			r.log.Warn("a knock was not carried out", logging.Device, d.id, logging.Source, n.Claimed, logging.Err, err)
		}
		return failed
	case v == nil:
		return ignored
	case n.AnswerWanted:
		r.answer(ctx, publisher, d, n, v)
	}
	return taken
}

// admit refuses a knock that was seen before, or is one of a flood, with the result; else it
// returns "". Whether it counts is decided by the database; this only saves it the trouble.
func (r *Room) admit(d *device, n knock.Knock, now time.Time) (refused string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if minute := now.Unix() / 60; minute != d.minute {
		d.minute, d.count = minute, 0
	}
	if d.count >= perMinute || d.waiting >= atOnce {
		return flood
	}
	if !d.memory.Accept(n.Nonce, n.Time, r.skew) {
		return repeated
	}
	d.count++
	d.waiting++
	return ""
}

func (r *Room) leave(d *device) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d.waiting--
}

// answer tells the device what became of its knock.
func (r *Room) answer(ctx context.Context, publisher Publisher, d *device, n knock.Knock, v *link.Verdict) {
	a := knock.Answer{Status: v.Status, Sessions: uint16(min(len(v.Sessions), 0xffff)), Time: time.Now(), Source: n.Claimed}
	for _, s := range v.Sessions {
		if a.Expires.IsZero() || s.Expires.Before(a.Expires) {
			a.Expires = s.Expires
		}
	}
	var nonce knock.Nonce
	rand.Read(nonce[:]) // never fails: crypto/rand crashes the program instead
	p := d.keys.SealAnswer(n.Nonce, nonce, a)
	if err := publisher.Publish(ctx, d.keys.AnswerTopic(n.Nonce), p[:]); err != nil && ctx.Err() == nil {
		r.log.Warn("a device got no answer", logging.Device, d.id, logging.Err, err)
	}
}
