package notify

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// Channel is what is configured of one.
type Channel struct {
	Name   string // "": the kind of its service
	URL    ownline.Secret
	Events []string      // kinds of news, or what stands before their dot, or "all"; "-" in front leaves out; empty: all
	Fold   time.Duration // 0: a minute
}

// Geo tells where addresses are.
type Geo interface {
	Country(netip.Addr) (string, bool)
	ASN(netip.Addr) (number uint32, name string, ok bool)
}

// Places remembers from where devices have knocked.
type Places interface {
	// SeePlaces adds places and returns those that are new, but not the first of their kind.
	SeePlaces(context.Context, ownline.DeviceID, []ownline.Place, time.Time) ([]ownline.Place, error)
}

// Desk knows the sites, and is told how channels are.
type Desk interface {
	// SitesReached lists the sites with how they are reached.
	SitesReached(context.Context) ([]ownline.SiteInfo, error)
	// ChannelChanged is told that a channel begins to fail, or works again.
	ChannelChanged(context.Context, ownline.ChannelInfo) error
}

// Meter counts messages that were delivered or given up.
type Meter interface {
	Notified(channel string, ok bool)
}

// Options are what a Notify is made of.
type Options struct {
	Channels  []Channel
	PublicURL string // of the pages, to lead there; "": unknown
	Systems   bool   // Geo knows autonomous systems: they are what tells networks apart
	Geo       Geo
	Places    Places
	Meter     Meter // nil: nobody counts
	Log       *slog.Logger
}

// Notify tells the news. Safe for concurrent use.
type Notify struct {
	channels []*channel
	geo      Geo
	systems  bool
	places   Places
	knocks   chan ownline.News
	seen     map[ownline.DeviceID]map[ownline.Place]bool // only for the goroutine that reads knocks
	log      *slog.Logger
}

var nameRule = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,31}$`)

// New makes the channels; it starts nothing and sends nothing. Errors name the key of
// web.yaml.
func New(o Options) (*Notify, error) {
	n := &Notify{
		geo: o.Geo, systems: o.Systems, places: o.Places, log: o.Log,
		knocks: make(chan ownline.News, knocksWaiting), seen: make(map[ownline.DeviceID]map[ownline.Place]bool),
	}
	texts := writer{url: o.PublicURL, geo: o.Geo}
	for i, c := range o.Channels {
		key := fmt.Sprintf("notify[%d]", i)
		kind, s, err := newSender(key+".url", string(c.URL))
		if err != nil {
			return nil, err
		}
		wants, err := choose(key+".events", c.Events)
		if err != nil {
			return nil, err
		}
		name, err := n.nameFor(key+".name", c.Name, kind)
		if err != nil {
			return nil, err
		}
		n.channels = append(n.channels, newChannel(name, kind, wants, c.Fold, s, texts, o.Meter, o.Log.With("channel", name)))
	}
	return n, nil
}

// nameFor checks a name, or makes one of the kind of service.
func (n *Notify) nameFor(key, name, kind string) (string, error) {
	if name == "" {
		name = kind
		for i := 2; n.channel(name) != nil; i++ {
			name = fmt.Sprintf("%s-%d", kind, i)
		}
		return name, nil
	}
	switch {
	case !nameRule.MatchString(name):
		return "", ownline.Invalid(key, "must be 1 to 32 of a-z 0-9 . _ - and begin with a letter or a digit")
	case n.channel(name) != nil:
		return "", ownline.Invalid(key, fmt.Sprintf("%q is another channel's already", name))
	}
	return name, nil
}

func (n *Notify) channel(name string) *channel {
	i := slices.IndexFunc(n.channels, func(c *channel) bool { return c.name == name })
	if i < 0 {
		return nil
	}
	return n.channels[i]
}

// choose finds the kinds that a list of patterns means: those of each pattern are added, or
// taken away, in order.
func choose(key string, patterns []string) (map[ownline.NewsKind]bool, error) {
	wants := make(map[ownline.NewsKind]bool)
	if len(patterns) == 0 || strings.HasPrefix(patterns[0], "-") {
		patterns = slices.Insert(slices.Clone(patterns), 0, "all")
	}
	for i, p := range patterns {
		word, without := strings.CutPrefix(p, "-")
		found := false
		for _, k := range ownline.NewsKinds() {
			group, _, _ := strings.Cut(string(k), ".")
			if word == "all" || word == group || word == string(k) {
				wants[k], found = !without, true
			}
		}
		if !found {
			var known []string
			for _, k := range ownline.NewsKinds() {
				known = append(known, string(k))
			}
			return nil, ownline.Invalid(fmt.Sprintf("%s[%d]", key, i), fmt.Sprintf("%q is no kind of event; known are all, %s, and what stands before their dots", p, strings.Join(known, ", ")))
		}
	}
	return wants, nil
}

// Report takes news. It never waits.
func (n *Notify) Report(news ownline.News) {
	if news.Kind == ownline.DeviceKnocked {
		n.knocked(news)
		return
	}
	for _, c := range n.channels {
		c.add(news)
	}
}

// Run tells the news until ctx ends, and then what is left, as far as that takes no more
// than lastWords.
func (n *Notify) Run(ctx context.Context, desk Desk) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, c := range n.channels {
		wg.Go(func() { c.run(ctx, desk) })
	}
	wg.Go(func() { n.watchPlaces(ctx) })
	if len(n.channels) > 0 {
		wg.Go(func() { n.watchSites(ctx, desk) })
	}
	return nil
}

// Channels tells how the channels are.
func (n *Notify) Channels() []ownline.ChannelInfo {
	out := make([]ownline.ChannelInfo, len(n.channels))
	for i, c := range n.channels {
		out[i] = c.info()
	}
	return out
}

// Test sends a test message by a channel, once and at once. ErrUnavailable says why it was
// not delivered.
func (n *Notify) Test(ctx context.Context, name string) error {
	c := n.channel(name)
	if c == nil {
		return ownline.NotFound("channel", name)
	}
	return c.test(ctx)
}
