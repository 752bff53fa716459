package sites

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// Keys keeps the keys by which web proves itself to cores. While there is a next one, cores
// are told of it, and web goes over to it when all of them know. The next key and what is
// known are on the disk at both ends before anything builds on them, so that the two agree
// again wherever this is cut short.
type Keys interface {
	LinkKeys(context.Context) (link.Keys, error)
	// LinkKeyKnown records that a core knows the next key, or what hinders it; nothing when
	// another key is the next one by now.
	LinkKeyKnown(ctx context.Context, next []byte, core link.Pin, problem string) error
	// UseNextLinkKey makes the next key the present one if the cores of all sites know it.
	UseNextLinkKey(ctx context.Context, force bool, e ownline.AuditEntry) (done bool, ignorant []ownline.Site, err error)
}

// rotation is what the cores are to be told.
type rotation struct {
	next  announced // zero: nothing
	known map[link.Pin]string
}

// announced is web's next key.
type announced struct {
	pem string
	pin link.Pin
}

// forCore returns what that core does not know to know.
func (r rotation) forCore(core link.Pin) announced {
	if problem, told := r.known[core]; told && problem == "" {
		return announced{}
	}
	return r.next
}

// look reads the sites to command, and the keys to do it with. It goes over to the next key
// once every core knows it.
func (c *Cores) look(ctx context.Context, desk Desk) (list []ownline.Site, r rotation, err error) {
	if list, err = desk.Commanded(ctx); err != nil || c.keys == nil {
		return list, r, err
	}
	keys, err := c.keys.LinkKeys(ctx)
	if err != nil {
		return nil, r, err
	}
	if keys.Next != nil {
		next, err := link.ParseIdentity(keys.Next)
		if err != nil {
			return nil, r, err
		}
		r = rotation{announced{string(keys.Next), next.Pin()}, keys.Known}
		if r.everybody(list) {
			done, _, err := c.keys.UseNextLinkKey(ctx, false, ownline.AuditEntry{At: time.Now(), By: "system", Action: "link_key.use", Subject: string(next.Pin())})
			if err != nil {
				return nil, r, err
			}
			if done {
				keys.Present, r = keys.Next, rotation{}
			}
		}
	}
	return list, r, c.present(keys.Present)
}

// everybody reports whether the cores of all sites know the next key, as far as is known
// here; the last word has the transaction. Cores of removed sites are not waited for.
func (r rotation) everybody(list []ownline.Site) bool {
	for _, s := range list {
		if !s.Removed && r.forCore(link.Pin(s.Pin)).pin != "" {
			return false
		}
	}
	return true
}

// present has cores meet the key from now on.
func (c *Cores) present(pem []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if pem == nil || bytes.Equal(c.pem, pem) {
		return nil
	}
	id, err := link.ParseIdentity(pem)
	if err != nil {
		return err
	}
	c.pem = pem
	if id.Pin() == c.identity.Pin() {
		return nil
	}
	c.identity = id
	if c.door != nil {
		c.door.Use(id)
	}
	c.log.Info("cores meet another link key of web from now on", "pin", id.Pin())
	return nil
}

// forPairing returns the present key. A core that is paired anew forgets what it was told
// of the next one, so that is forgotten here before.
func (c *Cores) forPairing(ctx context.Context, core link.Pin) (*link.Identity, error) {
	if c.keys != nil {
		keys, err := c.keys.LinkKeys(ctx)
		if err != nil {
			return nil, err
		}
		if err := c.present(keys.Present); err != nil {
			return nil, err
		}
		if _, told := keys.Known[core]; told && keys.Next != nil {
			if err := c.keys.LinkKeyKnown(ctx, keys.Next, core, "it was paired again and has not been told since"); err != nil {
				return nil, err
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.identity, nil
}

// announce has core told of the next key, unless that is zero.
func (s *site) announce(next announced) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next != next {
		s.next = next
		s.tell()
	}
}

// tellAgain is how long to wait before a core that did not take web's next key is told again.
const tellAgain = 10 * time.Second

// tellKey tells core of web's next key whenever there is one that it does not know. That it
// can't be told does not end the connection: sessions matter more.
func (s *site) tellKey(ctx context.Context) error {
	for {
		s.mu.Lock()
		next, live, changed := s.next, s.live, s.changed
		s.mu.Unlock()
		var later <-chan time.Time
		if live && next.pin != "" {
			problem, err := s.tellKeyNow(ctx, next)
			switch {
			case err != nil:
				return err
			case problem == "":
				s.with(func() {
					if s.next == next {
						s.next = announced{}
					}
				})
				continue
			}
			changed, later = nil, time.After(tellAgain)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-later:
		}
	}
}

func (s *site) tellKeyNow(ctx context.Context, next announced) (problem string, err error) {
	ask, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	err = s.client.AnnounceKey(ask, next.pin)
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, link.ErrUnpaired):
		return "", err
	case err != nil:
		problem = err.Error()
		s.log.Warn("core does not know web's next link key", logging.Err, err)
	default:
		s.heard()
		s.log.Info("core knows web's next link key", "pin", next.pin)
	}
	if err := s.keys.LinkKeyKnown(ctx, []byte(next.pem), s.pin, problem); err != nil {
		return "", fmt.Errorf("record what core knows of the next link key: %w", err)
	}
	return problem, nil
}

// drain waits for commands that are on their way on a connection that is to be dropped, and
// lets no other begin.
func (s *site) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	if err := s.gate.Acquire(ctx, gateWidth); err != nil {
		s.log.Debug("commands were cut off", logging.Err, err)
	}
}
