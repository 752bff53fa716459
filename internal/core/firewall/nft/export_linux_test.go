package nft

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall"
)

// LimitTransactions makes the driver believe that its socket's buffer can't be larger.
func (d *Driver) LimitTransactions(bytes int) { d.room = bytes }

// Lack has the driver ask for an expression under a name that the kernel does not have, which is what
// asking for any that is not built into it comes to.
func (d *Driver) Lack(expression string) {
	name := append([]byte(expression), 0)
	other := bytes.Repeat([]byte{'x'}, len(name)-1)
	d.plan = func(s firewall.Settings, how marking, filter filtering) layout {
		l := newLayout(s, how, filter)
		for _, c := range l.chains {
			for i, r := range c.rules {
				c.rules[i].exprs = bytes.ReplaceAll(r.exprs, name, append(bytes.Clone(other), 0))
			}
		}
		return l
	}
}

// Fail has the kernel answer every table with the whole filter with an error that is not about the
// expressions that it is made of (ERANGE), until Lack is called.
func (d *Driver) Fail() {
	d.plan = func(s firewall.Settings, how marking, filter filtering) layout {
		l := newLayout(s, how, filter)
		if filter == filterAll {
			l.counters = append(slices.Clone(l.counters), strings.Repeat("x", 1000))
		}
		return l
	}
}

// Refuses is whether an error is about what the table is made of.
func Refuses(err error) bool { return refuses(err) }

// Remove deletes the table. Connections that it translated live on, no longer gated: end
// them first by a Sync without forwards, and wait, where that matters.
func (d *Driver) Remove(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	d.known = false
	t := newTransaction(d.table, 0)
	t.deleteTable()
	if err := d.conn.Batch(t.message()); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("delete table inet %s: %w", d.table, err)
	}
	return nil
}
