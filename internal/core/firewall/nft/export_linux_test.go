package nft

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// LimitTransactions makes the driver believe that its socket's buffer can't be larger.
func (d *Driver) LimitTransactions(bytes int) { d.room = bytes }

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
