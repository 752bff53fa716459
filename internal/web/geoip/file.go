package geoip

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"sync/atomic"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/ownline/ownline/internal/logging"
)

// record is what is read of a database at an address.
type record interface{ known() bool }

// file is one database. It is kept in memory, not mapped: a file that is overwritten in
// place would change under a lookup, and one that is cut short would crash the program.
type file[R record] struct {
	path  string // "": none
	key   string // of web.yaml
	holds string // what it must hold, for people

	current atomic.Pointer[maxminddb.Reader] // nil: nothing was read yet
	seen    os.FileInfo                      // of the file that was tried last; only look's
}

// look reads the file if it is another than the one that was tried last. It reports whether
// it did. Not safe for concurrent use.
func (f *file[R]) look() (read bool, err error) {
	if f.path == "" {
		return false, nil
	}
	info, err := os.Stat(f.path)
	if err != nil {
		if f.seen == nil && f.current.Load() != nil {
			return false, nil // that it is gone was said already
		}
		f.seen = nil
		return true, invalid(f.key, f.path, reason(err))
	}
	if f.seen != nil && os.SameFile(info, f.seen) && info.Size() == f.seen.Size() && info.ModTime().Equal(f.seen.ModTime()) {
		return false, nil
	}
	// From before it is read: whatever changes meanwhile is seen at the next look.
	f.seen = info
	b, err := os.ReadFile(f.path)
	if err != nil {
		return true, invalid(f.key, f.path, reason(err))
	}
	r, err := maxminddb.OpenBytes(b)
	if err != nil {
		return true, invalid(f.key, f.path, "is not a database in MaxMind's format, or is broken")
	}
	if err := f.check(r); err != nil {
		return true, err
	}
	f.current.Store(r)
	return true, nil
}

// checked is how many networks of a database are looked at before it is taken into use.
const checked = 10_000

// check makes sure that the database holds what it is asked for.
func (f *file[R]) check(r *maxminddb.Reader) error {
	n := 0
	for result := range r.Networks() {
		var got R
		if err := result.Decode(&got); err != nil {
			return invalid(f.key, f.path, "is broken")
		}
		if got.known() {
			return nil
		}
		if n++; n == checked {
			break
		}
	}
	return invalid(f.key, f.path, fmt.Sprintf("is a database of the type %q, which holds no %s", r.Metadata.DatabaseType, f.holds))
}

// find returns what is known of an address. An IPv6 address in a database of IPv4 is not
// known.
func (f *file[R]) find(a netip.Addr) (got R, ok bool) {
	r := f.current.Load()
	if r == nil || !a.IsValid() {
		return got, false
	}
	if err := r.Lookup(a.Unmap().WithZone("")).Decode(&got); err != nil {
		var none R
		return none, false
	}
	return got, got.known()
}

// follow reads a file that has changed and says so.
func follow[R record](log *slog.Logger, f *file[R]) {
	read, err := f.look()
	switch {
	case err != nil:
		log.Warn("a database of addresses can't be read; the one from before stays in use", "file", f.path, logging.Err, err)
	case read:
		m := f.current.Load().Metadata
		log.Info("a database of addresses was read again", "file", f.path, "type", m.DatabaseType, "built", m.BuildTime().UTC())
	}
}

// reason is an error of the system without the file's name, which stands before it.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return err.Error()
}
