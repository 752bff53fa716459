package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/ownline/ownline/internal/agent/profile"
)

// ErrRuns says that an agent runs already.
var ErrRuns = errors.New("an agent runs here already; `ownline agent status` says what it does")

// Folder is where an agent keeps what it tells about itself. One agent at a time has it.
type Folder string

// maxState is more than a state of thousands of profiles has, in bytes.
const maxState = 16 << 20

// lock returns the folder's lock, which nobody has taken yet.
func (f Folder) lock() (*flock.Flock, error) {
	file := filepath.Join(string(f), "lock")
	if err := profile.CheckFile(file); err != nil {
		return nil, err
	}
	return flock.New(file, flock.SetPermissions(0o600)), nil
}

// Take takes the folder until release is called or the program ends, however it ends.
func (f Folder) Take(ctx context.Context) (release func() error, err error) {
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return nil, err
	}
	l, err := f.lock()
	if err != nil {
		return nil, err
	}
	// Whoever asks whether an agent runs holds the lock for a moment.
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	ok, err := l.TryLockContext(ctx, 50*time.Millisecond)
	switch {
	case errors.Is(err, context.DeadlineExceeded), err == nil && !ok:
		return nil, ErrRuns
	case err != nil:
		return nil, fmt.Errorf("lock %s: %w", f, err)
	}
	return l.Unlock, nil
}

func (f Folder) file() string { return filepath.Join(string(f), "state.json") }

// Write keeps a state, whole or not at all.
func (f Folder) Write(s State) error {
	content, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return profile.WriteFile(f.file(), append(content, '\n'))
}

// Read returns the state that was kept last, the zero State when there never was one, and whether
// an agent runs now.
func (f Folder) Read() (s State, runs bool, err error) {
	if _, err := os.Stat(filepath.Join(string(f), "lock")); err == nil {
		l, err := f.lock()
		if err != nil {
			return State{}, false, err
		}
		free, err := l.TryRLock()
		if err != nil {
			return State{}, false, fmt.Errorf("lock %s: %w", f, err)
		}
		runs = !free
		if free {
			if err := l.Unlock(); err != nil {
				return State{}, false, err
			}
		}
	}
	content, err := profile.ReadFile(f.file(), maxState)
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, runs, nil
	}
	if err != nil {
		return State{}, runs, err
	}
	if err := json.Unmarshal(content, &s); err != nil {
		return State{}, runs, fmt.Errorf("%s is damaged, and is written anew when the agent starts, and at each of its knocks: %w", f.file(), err)
	}
	return s, runs, nil
}
