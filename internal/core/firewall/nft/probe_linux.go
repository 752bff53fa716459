package nft

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// abilities is what differs between kernels.
type abilities struct {
	mark    marking
	update  bool // adding an element again gives it its new time (6.12); else delete and add
	destroy bool // removing an element that is gone is no error (6.3)
}

// restrict keeps to what the configuration allows.
func (a *abilities) restrict(cfg Config) {
	if cfg.OldKernel {
		a.update, a.destroy = false, false
	}
	if cfg.UseMark {
		a.mark = byMark
	}
}

// probe tries it all on a table of its own that no packet meets.
func (d *Driver) probe() (a abilities, err error) {
	table := fmt.Sprintf("%s_probe_%d", tableName, os.Getpid())
	probe := Driver{conn: d.conn, table: table}
	try := func(fill func(t *transaction)) error {
		t := newTransaction(table, 0)
		fill(t)
		return d.conn.Batch(t.message())
	}
	const name = "s"
	key := []byte{1, 2, 3, 4}
	if err := try(func(t *transaction) {
		t.create(layout{sets: []set{{name: name, flags: unix.NFT_SET_TIMEOUT, keyType: typeIPv4, keyLen: 4, counter: true}}})
		t.add(name, element{key: key, timeout: 60_000})
	}); err != nil {
		return a, err
	}
	defer func() {
		e := try(func(t *transaction) { t.deleteTable() })
		if !errors.Is(e, unix.ENOENT) {
			err = errors.Join(err, e)
		}
	}()
	if try(func(t *transaction) { t.add(name, element{key: key, timeout: 3600_000}) }) == nil {
		e, err := probe.readElement(name, key)
		a.update = err == nil && time.Until(e.until) > 30*time.Minute
	}
	a.destroy = try(func(t *transaction) { t.remove(destroySetElem, name, []byte{4, 3, 2, 1}) }) == nil

	a.mark = byMark
	b := builder{mark: byLabel}
	b.chain("c", "", 0, 0)
	b.rule("", b.mark.set(), b.mark.isSet())
	if try(func(t *transaction) { t.create(b.layout) }) == nil {
		a.mark = byLabel
	}
	return a, nil
}
