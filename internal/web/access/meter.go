package access

import (
	"context"

	"github.com/ownline/ownline/internal/ownline"
)

// Meter counts what happens.
type Meter interface {
	Opened(by string)       // a session, by one of the ways of an Actor
	Ended(reason string)    // a session
	Knocked(verdict string) // as the answer has it, or "ignored"
	// Refused counts knocks; site is "" where nobody knows it.
	Refused(site, reason string, n uint64)
}

type noMeter struct{}

func (noMeter) Opened(string)  {}
func (noMeter) Ended(string)   {}
func (noMeter) Knocked(string) {}

func (noMeter) Refused(string, string, uint64) {}

// counts are what a change adds up, to be told once it is committed.
type counts struct {
	opened int
	ended  []ownline.EndReason
}

func (c *change) count(m Meter) {
	for range c.counts.opened {
		m.Opened(c.actor.By)
	}
	for _, why := range c.counts.ended {
		m.Ended(string(why))
	}
}

// Standing is how many sessions live, and how the cores of all sites are reached. It is
// for the server itself: nobody is asked who they are.
func (a *Access) Standing(ctx context.Context) (live []ownline.LiveCount, sites []ownline.SiteInfo, err error) {
	var rows []ownline.Site
	err = a.store.Read(ctx, func(tx Tx) (err error) {
		if live, err = tx.LiveCounts(); err != nil {
			return err
		}
		rows, err = tx.Sites()
		return err
	})
	for _, s := range rows {
		sites = append(sites, a.siteInfo(System(), s))
	}
	return live, sites, err
}
