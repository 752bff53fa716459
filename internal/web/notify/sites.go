package notify

import (
	"context"
	"time"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

const (
	lookEvery = 5 * time.Second
	// grace is how long a site must be down, or up again, before that is news: one that
	// flaps is down until it stays.
	grace = time.Minute
)

// reach is how a site was reached.
type reach struct {
	down   bool      // as people were told
	since  time.Time // when it began to be otherwise; zero: it is as people were told
	downAt time.Time
}

// watchSites reports sites that can't be reached for a while, and that can be again. It
// looks instead of listening: no change can be missed.
func (n *Notify) watchSites(ctx context.Context, desk Desk) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	sites := make(map[ownline.SiteID]*reach)
	for {
		list, err := desk.SitesReached(ctx)
		if err != nil && ctx.Err() == nil {
			n.log.Debug("how sites are reached can't be read", logging.Err, err)
		} else {
			n.look(sites, list, time.Now())
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (n *Notify) look(sites map[ownline.SiteID]*reach, list []ownline.SiteInfo, now time.Time) {
	listed := make(map[ownline.SiteID]bool, len(list))
	for _, s := range list {
		listed[s.ID] = true
		r := sites[s.ID]
		if r == nil {
			r = &reach{}
			sites[s.ID] = r
		}
		if r.down == !s.Health.Connected {
			r.since = time.Time{}
			continue
		}
		if r.since.IsZero() {
			r.since = now
		}
		if now.Sub(r.since) < grace {
			continue
		}
		news := ownline.News{Kind: ownline.SiteUp, At: now, Site: s.Name}
		if r.down {
			news.Detail = "it was away for " + r.since.Sub(r.downAt).Round(time.Second).String()
		} else {
			news.Kind, news.Detail, r.downAt = ownline.SiteDown, s.Health.Error, r.since
		}
		r.down, r.since = !r.down, time.Time{}
		n.Report(news)
	}
	for id := range sites {
		if !listed[id] {
			delete(sites, id)
		}
	}
}
