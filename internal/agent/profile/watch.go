package profile

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/fsnotify/fsnotify"
)

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
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-w.Events:
			if strings.HasSuffix(e.Name, suffix) {
				tell()
			}
		case err := <-w.Errors:
			return fmt.Errorf("watch %s: %w", s.Dir, err)
		}
	}
}
