package sites

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// Pair makes this web the one that the core of a pairing code obeys. Errors are about the
// field "code".
func (c *Cores) Pair(ctx context.Context, code string) (link.Status, error) {
	parsed, err := link.ParseCode(code)
	if err != nil {
		return link.Status{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, pairTimeout)
	defer cancel()
	id, err := c.forPairing(ctx, parsed.Pin)
	if err != nil {
		return link.Status{}, err
	}
	client, err := c.client(id, parsed.Addr, parsed.Pin)
	if err != nil {
		return link.Status{}, err
	}
	defer client.Close()
	status, err := client.Pair(ctx, parsed.Token)
	switch {
	case errors.Is(err, link.ErrWrongKey):
		return status, ownline.Invalid("code", fmt.Sprintf("what answers at %s has not the key of the code: either the core's key has changed since, or it is another machine", parsed.Addr))
	case errors.Is(err, ownline.ErrUnavailable):
		where := parsed.Addr
		if where == "" {
			where = "the door that it should dial"
		}
		return status, &ownline.FieldError{Kind: ownline.ErrUnavailable, Field: "code", Detail: fmt.Sprintf("its core was not met at %s: %v", where, err)}
	}
	return status, err
}

// Moved waits until a site's core is met where the site says, by the key that it says, and
// the one before is not commanded any more. Without Run nobody commands either.
func (c *Cores) Moved(ctx context.Context, to ownline.Site) error {
	for {
		c.mu.Lock()
		s, running, changed := c.sites[to.ID], c.running, c.changed
		c.mu.Unlock()
		if !running || s != nil && s.link == to.Link && string(s.pin) == to.Pin {
			return nil
		}
		select {
		case c.poke <- struct{}{}:
		default:
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("the site's core is not met at its new place yet: %w", ownline.ErrUnavailable)
		}
	}
}

const lookAtPairFile = time.Second

// watchPairFile pairs with every new code that appears in the pair file.
func (c *Cores) watchPairFile(ctx context.Context, desk Desk) {
	tick := time.NewTicker(lookAtPairFile)
	defer tick.Stop()
	var done []byte // the content that was dealt with
	var said string // the last complaint
	for {
		b, err := os.ReadFile(c.pairFile)
		code := bytes.TrimSpace(b)
		switch {
		case errors.Is(err, fs.ErrNotExist), err == nil && (len(code) == 0 || bytes.Equal(code, done)):
			err = nil
		case err == nil:
			if err = desk.PairFile(ctx, string(code), c.pairHost); err == nil {
				done = code
			}
		}
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			said = ""
		case err.Error() != said:
			said = err.Error()
			c.log.Warn("can't pair by the pair file; trying again", "file", c.pairFile, logging.Err, err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
