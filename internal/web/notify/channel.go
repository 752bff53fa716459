package notify

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

const (
	gather      = 2 * time.Second // what happens together is told together
	foldDefault = time.Minute
	listed      = 8 // of what is folded, in words; the rest is counted

	sendTimeout = 20 * time.Second
	testTimeout = 15 * time.Second
	lastWords   = 3 * time.Second // at the end, for what was not sent yet

	maxTries = 8
	firstTry = 2 * time.Second // before the second try; doubles
	maxWait  = 2 * time.Minute
	maxAfter = 15 * time.Minute // that a service may ask us to wait
)

// channel is a way to tell people.
type channel struct {
	name, kind string
	wants      map[ownline.NewsKind]bool
	window     time.Duration
	sender     sender
	texts      writer
	meter      Meter
	log        *slog.Logger
	wake       chan struct{} // holds one when there may be something to send
	sending    chan struct{} // holds one while a message is sent

	mu       sync.Mutex // guards what follows; never held while anything is waited for
	folds    map[ownline.NewsKind]*fold
	underway int // news in the message that is being sent
	untold   int // news that was given up since the last message that arrived
	sent     uint64
	lost     uint64
	success  time.Time
	failure  time.Time
	err      string // of the last try; "": it worked
	failing  bool   // as the desk was told
}

// fold gathers news of a kind.
type fold struct {
	count int
	first []ownline.News
	due   time.Time // when it is told; zero: there is nothing
	quiet time.Time // until when the next is gathered
}

func newChannel(name, kind string, wants map[ownline.NewsKind]bool, window time.Duration, s sender, texts writer, meter Meter, log *slog.Logger) *channel {
	if window == 0 {
		window = foldDefault
	}
	return &channel{
		name: name, kind: kind, wants: wants, window: window, sender: s, texts: texts, meter: meter, log: log,
		wake: make(chan struct{}, 1), sending: make(chan struct{}, 1), folds: make(map[ownline.NewsKind]*fold),
	}
}

// add takes news. However much comes, no more than the first few of each kind are kept.
func (c *channel) add(n ownline.News) {
	if !c.wants[n.Kind] {
		return
	}
	c.mu.Lock()
	f := c.folds[n.Kind]
	if f == nil {
		f = &fold{}
		c.folds[n.Kind] = f
	}
	if f.due.IsZero() {
		f.due = time.Now().Add(gather)
		if f.quiet.After(f.due) {
			f.due = f.quiet
		}
	}
	f.count += max(n.Count, 1)
	if len(f.first) < listed {
		f.first = append(f.first, n)
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// next takes the news that is told next, and returns how long to wait when there is none
// yet. all: do not wait.
func (c *channel) next(all bool) (m message, wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var f *fold
	for _, g := range c.folds {
		if !g.due.IsZero() && (f == nil || g.due.Before(f.due)) {
			f = g
		}
	}
	now := time.Now()
	switch {
	case f == nil:
		return message{}, time.Hour
	case f.due.After(now) && !all:
		return message{}, f.due.Sub(now)
	}
	m = c.texts.message(f.first, f.count, c.untold)
	c.underway = f.count
	*f = fold{quiet: now.Add(c.window)}
	return m, 0
}

// run sends what is to be told until ctx ends, and then what is left.
func (c *channel) run(ctx context.Context, desk Desk) {
	// A request under way at the end is let finish: once cancelled, nobody knows whether the
	// news was told, and it would be told twice.
	last, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastWords, cancel) })()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		m, wait := c.next(false)
		if m.count > 0 {
			c.deliver(ctx, last, desk, m)
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-c.wake:
		}
	}
	for {
		m, _ := c.next(true)
		if m.count == 0 {
			return
		}
		if err := c.send(last, m); err != nil {
			c.log.Warn("news was not told before the end", "news", m.count, logging.Err, err)
		}
	}
}

// deliver sends a message, as often as it takes and makes sense until ctx ends; what is sent
// then has until last.
func (c *channel) deliver(ctx, last context.Context, desk Desk, m message) {
	wait := firstTry
	for try := 1; ; try++ {
		err := c.send(last, m)
		if ctx.Err() != nil && err != nil {
			c.again(m)
			return
		}
		why, _ := errors.AsType[*failure](err)
		if err == nil || why.permanent || try == maxTries {
			c.settle(last, desk, m, err)
			return
		}
		c.log.Debug("news was not told; trying again", "try", try, logging.Err, err)
		pause := max(wait+rand.N(wait/4), min(why.after, maxAfter))
		wait = min(2*wait, maxWait)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			c.again(m)
			return
		}
	}
}

// again puts a message's news back: it is among the last words then.
func (c *channel) again(m message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.folds[m.kind]
	f.count += m.count
	f.first = append(m.news, f.first...)
	f.first = f.first[:min(len(f.first), listed)]
	f.due = time.Now()
	c.underway = 0
}

// send tries once. Its errors are failures.
func (c *channel) send(ctx context.Context, m message) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	select {
	case c.sending <- struct{}{}:
		defer func() { <-c.sending }()
	case <-ctx.Done():
		return &failure{text: "another message is still being sent"}
	}
	err := c.sender.send(ctx, m)
	if err != nil {
		err = describe(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.success, c.err = time.Now(), ""
		c.sent++
	} else {
		c.failure, c.err = time.Now(), err.Error()
	}
	return err
}

// settle counts what became of a message, and tells the desk when that is another thing than
// before.
func (c *channel) settle(ctx context.Context, desk Desk, m message, err error) {
	c.mu.Lock()
	c.underway = 0
	if err == nil {
		c.untold -= m.untold
	} else {
		c.untold += m.count
		c.lost += uint64(m.count)
	}
	changed := c.failing != (err != nil)
	c.failing = err != nil
	c.mu.Unlock()
	if c.meter != nil {
		c.meter.Notified(c.name, err == nil)
	}
	switch {
	case err != nil:
		c.log.Warn("news could not be told and is given up", "kind", m.kind, "news", m.count, logging.Err, err)
	case changed:
		c.log.Info("news can be told again")
	}
	if !changed {
		return
	}
	if err := desk.ChannelChanged(ctx, c.info()); err != nil && ctx.Err() == nil {
		c.log.Error("how a channel is can't be written down", logging.Err, err)
	}
}

// test sends a test message.
func (c *channel) test(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	if err := c.send(ctx, c.texts.test()); err != nil {
		return &ownline.FieldError{Kind: ownline.ErrUnavailable, Detail: err.Error()}
	}
	return nil
}

// info tells how the channel is.
func (c *channel) info() ownline.ChannelInfo {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := ownline.ChannelInfo{
		Name: c.name, Service: c.kind, Waiting: c.underway, Sent: c.sent, Lost: c.lost,
		LastSuccess: c.success, LastFailure: c.failure, Error: c.err, Failing: c.failing,
	}
	for _, k := range ownline.NewsKinds() {
		if c.wants[k] {
			i.Events = append(i.Events, k)
		}
		if f := c.folds[k]; f != nil {
			i.Waiting += f.count
		}
	}
	return i
}
