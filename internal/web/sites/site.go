package sites

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// site is one core and how far it is.
type site struct {
	id        ownline.SiteID
	link      string
	pin       link.Pin
	removed   bool           // guarded by book.mu
	as        *link.Identity // whom core meets
	client    *link.Client
	desk      Desk
	lookEvery time.Duration
	keys      Keys
	log       *slog.Logger

	pong pong

	*book
	// gate lets any number of commands through, or one whole state: a state never meets a
	// command that is newer than itself, which would make it stale.
	gate *semaphore.Weighted
}

const gateWidth = 1 << 20

func newSite(row ownline.Site, as *link.Identity, client *link.Client, desk Desk, keys Keys, lookEvery time.Duration, log *slog.Logger) *site {
	s := &site{
		id: row.ID, link: row.Link, pin: link.Pin(row.Pin), as: as, client: client, desk: desk, keys: keys, lookEvery: lookEvery, log: log,
		pong: newPong(), book: newBook(), gate: semaphore.NewWeighted(gateWidth),
	}
	s.want(row.Revision, row.Removed)
	return s
}

// want notes how new the database is.
func (s *site) want(rev uint64, removed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if rev > s.wanted || removed != s.removed {
		s.resend = s.resend || removed != s.removed // so that an empty state is applied after it is known why
		s.wanted, s.removed = max(rev, s.wanted), removed
		s.tell()
	}
}

// run commands the core until ctx ends.
func (s *site) run(ctx context.Context) {
	var wait link.Backoff
	for ctx.Err() == nil {
		began := time.Now()
		err := s.connection(ctx)
		if ctx.Err() != nil {
			break
		}
		if s.lost(explain(err)) {
			s.log.Warn("link to core lost; trying again", logging.Err, err)
			s.tellHealth(ctx)
		}
		if time.Since(began) > 10*time.Second {
			wait = link.Backoff{}
		}
		wait.Sleep(ctx)
	}
	s.lost("web is stopping")
}

// explain says what is wrong in words for the admin.
func explain(err error) string {
	switch {
	case err == nil:
		return "the connection was closed"
	case errors.Is(err, link.ErrWrongKey):
		return "what answers there has not the key of this site's core: the core's key has changed, or it is another machine; run `ownline-core pair` there and `ownline-web site pair` here"
	case errors.Is(err, link.ErrUnpaired):
		return "the core does not obey this web any more: run `ownline-core pair` there and `ownline-web site pair` here"
	}
	return err.Error()
}

func (s *site) tellHealth(ctx context.Context) {
	if err := s.desk.HealthChanged(ctx, s.id); err != nil && ctx.Err() == nil {
		s.log.Debug("readers of events were not told how core is reached", logging.Err, err)
	}
}

// Health returns how the core is reached.
func (s *site) Health() ownline.LinkHealth {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.health
	h.Connected, h.Applied, h.Wanted = s.live, s.applied, s.wanted
	return h
}

// isLive refuses commands while the core can't be reached.
func (s *site) isLive() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live {
		return nil
	}
	return s.unreachable()
}

// unreachable is the error of commands while the core can't be reached. Call it with mu
// held.
func (s *site) unreachable() error {
	why := s.health.Error
	if why == "" {
		why = "not connected yet"
	}
	return noCore(errors.New(why))
}

// noCore is ErrUnavailable with words for those who are told no more than them.
func noCore(why error) error {
	return fmt.Errorf("%w: %w", &ownline.FieldError{Kind: ownline.ErrUnavailable, Detail: "the site's core can't be reached"}, why)
}

// command runs one command within the gate, unless a whole state has covered its revision
// already: then it is stale, and is not sent.
func (s *site) command(ctx context.Context, rev uint64, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	if err := s.gate.Acquire(ctx, 1); err != nil {
		return noCore(fmt.Errorf("core is busy: %w", err))
	}
	defer s.gate.Release(1)
	s.mu.Lock()
	stale := s.live && rev <= s.state
	s.mu.Unlock()
	if stale {
		return link.ErrStale
	}
	err := f(ctx)
	switch {
	case err == nil:
		s.heard()
	case errors.Is(err, ownline.ErrUnavailable):
		return noCore(err)
	}
	return err
}

// heard notes that core spoke.
func (s *site) heard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.health.LastContact = time.Now().UTC()
}

// stamp is the revision of a command that is sent now.
func (s *site) stamp(rev uint64) link.Stamp {
	s.mu.Lock()
	defer s.mu.Unlock()
	return link.Stamp{Revision: link.Revision{Epoch: s.epoch, Revision: rev}, Now: time.Now().UTC()}
}

// definite reports whether core has refused, so that it certainly has not applied.
func definite(err error) bool {
	return errors.Is(err, ownline.ErrInvalid) || errors.Is(err, ownline.ErrForbidden) ||
		(errors.Is(err, ownline.ErrConflict) && !errors.Is(err, link.ErrStale))
}

func (s *site) put(ctx context.Context, rev uint64, l link.Session) error {
	if err := s.isLive(); err != nil {
		return err
	}
	end := s.begin(rev)
	err := s.command(ctx, rev, func(ctx context.Context) error {
		return s.client.PutSession(ctx, link.Put{Stamp: s.stamp(rev), Session: l})
	})
	end(err == nil || definite(err))
	if !errors.Is(err, link.ErrStale) {
		return err
	}
	// A whole state was faster, or core wants one: its word counts.
	if err := s.sync(ctx, rev); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused[l.ID].Err()
}

// pass adds a pass and a code. A whole state that came first has the pass, and core takes the
// code for it: unlike with other commands, its revision may be covered already.
func (s *site) pass(ctx context.Context, rev uint64, p link.Pass, code, state []byte) error {
	if err := s.isLive(); err != nil {
		return err
	}
	end := s.begin(rev)
	err := s.command(ctx, math.MaxUint64, func(ctx context.Context) error {
		return s.client.PutPass(ctx, link.PutPass{Stamp: s.stamp(rev), Pass: p, Code: code, State: state})
	})
	end(err == nil || definite(err))
	if errors.Is(err, link.ErrStale) {
		return noCore(err) // core has just begun anew, or the pass was taken away again
	}
	return err
}

func (s *site) end(ctx context.Context, rev uint64, ids []ownline.SessionID) error {
	if err := s.isLive(); err != nil {
		return err
	}
	if len(ids) == 0 {
		return s.sync(ctx, rev)
	}
	end := s.begin(rev)
	err := s.command(ctx, rev, func(ctx context.Context) error {
		for _, id := range ids {
			if err := s.client.EndSession(ctx, s.stamp(rev).Revision, id); err != nil {
				return err
			}
		}
		return nil
	})
	end(err == nil)
	if errors.Is(err, link.ErrStale) {
		return s.sync(ctx, rev)
	}
	return err
}

// sync waits until everything up to the revision is applied.
func (s *site) sync(ctx context.Context, rev uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := false
	for s.applied < rev || !s.live {
		if !s.live && s.tried {
			return s.unreachable()
		}
		if s.live && !asked {
			asked, s.resend, s.wanted = true, true, max(s.wanted, rev)
			s.tell()
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			s.mu.Lock()
			return noCore(fmt.Errorf("it has not applied revision %d yet", rev))
		}
		s.mu.Lock()
	}
	return nil
}

func (s *site) ping(ctx context.Context) (time.Duration, error) {
	if err := s.isLive(); err != nil {
		return 0, err
	}
	return s.pong.get(ctx, func(ctx context.Context) (time.Duration, error) {
		began := time.Now()
		if _, err := s.client.Status(ctx); err != nil {
			return 0, err
		}
		took := time.Since(began)
		s.heard()
		return took, nil
	})
}

func (s *site) certify(ctx context.Context, csr []byte) (link.Certificate, error) {
	if err := s.isLive(); err != nil {
		return link.Certificate{}, err
	}
	return s.client.Certify(ctx, link.CertificateRequest{CSR: csr})
}

func (s *site) reach(ctx context.Context, target netip.AddrPort) (link.Reached, error) {
	if err := s.isLive(); err != nil {
		return link.Reached{}, err
	}
	r, err := s.client.Reach(ctx, target)
	if errors.Is(err, link.ErrUnknownRequest) {
		return link.Reached{}, ownline.Conflict("site", "its core can't check targets: it is too old, or the build for routers with little room")
	}
	return r, err
}

func (s *site) preview(ctx context.Context, v link.Service) (string, error) {
	if err := s.isLive(); err != nil {
		return "", err
	}
	text, err := s.client.Preview(ctx, v)
	if errors.Is(err, link.ErrUnknownRequest) {
		return "", ownline.Conflict("site", "its core is too old for that: update ownline-core on its router")
	}
	return text, err
}
