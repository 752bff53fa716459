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
	client, err := c.client(parsed.Addr, parsed.Pin)
	if err != nil {
		return link.Status{}, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, pairTimeout)
	defer cancel()
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
