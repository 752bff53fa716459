package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

var errHeld = errors.New("another process holds the lock")

// lock waits for the lock of a file. Close the result to let go of it.
func lock(ctx context.Context, path string) (*os.File, error) {
	for {
		f, err := tryLock(path)
		if !errors.Is(err, errHeld) {
			return f, err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return nil, fmt.Errorf("lock %s: %w", path, ctx.Err())
		}
	}
}

// Serve makes sure that no other server works on the same SQLite file until release is
// called or the process dies: both would command the cores. Commands may be run beside it.
// Replicas share PostgreSQL.
func (s *Store) Serve() (release func() error, err error) {
	if s.path == "" {
		return func() error { return nil }, nil
	}
	f, err := tryLock(s.path + ".serve")
	if errors.Is(err, errHeld) {
		return nil, fmt.Errorf("another server runs on the database %s: stop that one first, or give this one a state_dir of its own", s.path)
	}
	if err != nil {
		return nil, err
	}
	return f.Close, nil
}

// A scratch folder holds what is being made until it is whole. Its lock tells one whose
// process was killed from one that is in use.
type scratch struct {
	dir  string
	lock *os.File
}

const (
	scratchPrefix = ".ownline-"
	scratchSuffix = ".tmp"
	scratchLock   = "lock"
)

// newScratch makes a scratch folder (mode 0700) in a folder, and removes there what killed
// processes left of theirs. Close it.
func newScratch(in string) (*scratch, error) {
	sweep(in)
	for {
		dir, err := os.MkdirTemp(in, scratchPrefix+"*"+scratchSuffix)
		if err != nil {
			return nil, err
		}
		f, err := tryLock(filepath.Join(dir, scratchLock))
		// Another's sweep may have come between the two.
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errHeld) || err == nil && !names(f) {
			if f != nil {
				f.Close()
			}
			continue
		}
		if err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		return &scratch{dir: dir, lock: f}, nil
	}
}

// names reports whether the file still has its name.
func names(f *os.File) bool {
	there, err := os.Stat(f.Name())
	if err != nil {
		return false
	}
	mine, err := f.Stat()
	return err == nil && os.SameFile(there, mine)
}

// file returns the path of a file in the folder.
func (s *scratch) file(name string) string { return filepath.Join(s.dir, name) }

// Close removes the folder.
func (s *scratch) Close() error { return errors.Join(os.RemoveAll(s.dir), s.lock.Close()) }

// sweep removes the scratch folders in a folder whose processes are gone. What it can't
// remove is no reason not to go on: it is in nobody's way.
func sweep(in string) {
	entries, err := os.ReadDir(in)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), scratchPrefix) || !strings.HasSuffix(e.Name(), scratchSuffix) {
			continue
		}
		// In a folder that is everybody's, others could have laid one out for us.
		if fi, err := e.Info(); err != nil || fi.Mode() != fs.ModeDir|0o700 || !ours(fi) {
			continue
		}
		dir := filepath.Join(in, e.Name())
		f, err := tryLock(filepath.Join(dir, scratchLock))
		if err != nil {
			continue // it is in use
		}
		_ = os.RemoveAll(dir)
		f.Close()
	}
}
