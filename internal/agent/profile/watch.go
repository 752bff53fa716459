package profile

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long a profile may take to be made.
const settle = 250 * time.Millisecond

// Watch tells when profiles were added, changed or removed, until ctx ends, which is no error.
func (s Store) Watch(ctx context.Context, tell func()) error {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return err
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch %s: %w", s.Dir, err)
	}
	defer w.Close()
	if err := w.Add(s.Dir); err != nil {
		return fmt.Errorf("watch %s: %w", s.Dir, err)
	}
	tell() // of what happened before
	if err := passOn(ctx, w.Events, w.Errors, s.Dir, tell); err != nil {
		return fmt.Errorf("watch %s: %w", s.Dir, err)
	}
	return nil
}

// passOn tells of what happens to the profiles in a folder, and to the folder itself, a moment
// later: a file that is just being made may be empty, or not yet its owner's alone.
func passOn(ctx context.Context, events <-chan fsnotify.Event, errs <-chan error, dir string, tell func()) error {
	var settled <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-events:
			if settled == nil && (strings.HasSuffix(e.Name, suffix) || e.Name == dir) {
				settled = time.After(settle)
			}
		case <-settled:
			settled = nil
			tell()
		case err := <-errs:
			return err
		}
	}
}
