package sites

import (
	"context"
	"maps"
	"reflect"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// lookEvery is how often a core is asked how it is.
const lookEvery = 15 * time.Second

// lookSoon is when it is asked first: what it said when it was met is from before it had the whole
// state, and with it the time.
const lookSoon = time.Second

// look asks the core now and then how it is, until ctx ends: much changes there that no event
// tells of, like the certificates of its proxy. last is what it said before.
func (s *site) look(ctx context.Context, last link.Status) error {
	tick := time.NewTicker(s.lookEvery)
	defer tick.Stop()
	soon := time.NewTimer(min(lookSoon, s.lookEvery))
	defer soon.Stop()
	var counted map[string]uint64
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-soon.C:
		case <-tick.C:
		}
		st, err := s.ask(ctx)
		if err != nil {
			continue // the stream of events ends, too, when the link is lost
		}
		if !reflect.DeepEqual(kept(st), kept(last)) {
			if err := s.desk.Told(ctx, s.id, st); err != nil {
				return err
			}
		}
		// No session waits for statistics: they come after the first whole state, and what could not be
		// counted is counted next time.
		if !maps.Equal(st.Knocks.Dropped, counted) && s.isLive() == nil {
			if err := s.desk.Counted(ctx, s.id, st); err == nil {
				counted = st.Knocks.Dropped
			} else if ctx.Err() == nil {
				s.log.Warn("what core refused was not counted; trying again", logging.Err, err)
			}
		}
		last = st
		if s.note(st) {
			s.tellHealth(ctx)
		}
	}
}

func (s *site) ask(ctx context.Context) (link.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	st, err := s.client.Status(ctx)
	if err == nil {
		s.heard()
	}
	return st, err
}

// kept is what the desk keeps of a status.
func kept(st link.Status) link.Status {
	return link.Status{
		KnockPort: st.KnockPort, FwknopPort: st.FwknopPort, LocalNetworks: st.LocalNetworks, ReservedPorts: st.ReservedPorts,
		Proxy: link.Proxy{Driver: st.Proxy.Driver, Domain: st.Proxy.Domain, Port: st.Proxy.Port},
	}
}

// note takes over what the status says for Health, and reports whether it is news.
func (s *site) note(st link.Status) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.health
	h := &s.health
	h.CoreVersion, h.Firewall, h.Lacks, h.Clock, h.Proxy, h.Root, h.Expires = st.Version, "", st.Firewall.Lacks, "", proxyTrouble(st.Proxy), st.Proxy.Root, st.Proxy.Expires.UTC()
	if !st.Firewall.OK {
		if h.Firewall = st.Firewall.Error; h.Firewall == "" {
			h.Firewall = "not ready"
		}
	}
	if st.Clock.Source == "unknown" {
		h.Clock = st.Clock.Why
	}
	return s.health != was
}

// proxyTrouble says what is wrong with a proxy that there should be; "": nothing.
func proxyTrouble(p link.Proxy) string {
	if p.OK || p.Error != "" || p.Driver == "" || p.Driver == ownline.NoProxy {
		return p.Error
	}
	return "not ready"
}
