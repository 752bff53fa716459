package nft

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall/flows"
	"github.com/ownline/ownline/internal/core/firewall/netlink"
)

// Remove takes away the table that an earlier Driver left, for another kind of driver, whose rules
// are there. It first marks the table's connections, by which that driver knows them. A kernel
// without nftables has none.
func Remove() (found bool, err error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := flows.Mark(conn); err != nil {
		return false, err
	}
	t := newTransaction(tableName, 0)
	t.deleteTable()
	err = conn.Batch(t.message())
	switch {
	case refuses(err): // ENOENT too: there is no table
		return false, nil
	case err != nil:
		return false, fmt.Errorf("delete table inet %s: %w", tableName, err)
	}
	return true, flows.Mark(conn) // what came meanwhile
}

// Left reports whether the table of an earlier Driver is there.
func Left() bool {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }() // nothing was changed by it
	is, err := (&Driver{conn: conn, table: tableName}).readTable()
	return err == nil && is.exists
}
