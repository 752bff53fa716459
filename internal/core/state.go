package core

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/wholefile"
)

// stateDir is what core keeps over restarts: its link key, and whom it obeys. No device's
// secret and no session is written to the router's disk.
type stateDir struct {
	path string

	mu    sync.Mutex // guards saved
	saved saved
}

// saved is core.json.
type saved struct {
	Web        link.Pin       `json:"web"`                // "": not paired
	NextWeb    link.Pin       `json:"next_web,omitempty"` // announced by that web, and obeyed as well; "": none
	Site       ownline.SiteID `json:"site"`
	SiteName   string         `json:"site_name"`
	IPv6Prefix int            `json:"ipv6_prefix"`
}

const (
	keyFile   = "link.pem"
	savedFile = "core.json"
)

// openState makes the directory and the link key on first start.
func openState(path string) (*stateDir, *link.Identity, error) {
	if err := wholefile.Folder(path); err != nil {
		return nil, nil, fmt.Errorf("state_dir: %w", err)
	}
	s := &stateDir{path: path}
	key, err := os.ReadFile(s.file(keyFile))
	if errors.Is(err, fs.ErrNotExist) {
		if key, err = link.GenerateIdentity(); err == nil {
			err = wholefile.Write(s.file(keyFile), key, 0o600)
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("state_dir: %w", err)
	}
	id, err := link.ParseIdentity(key)
	if err != nil {
		return nil, nil, fmt.Errorf("state_dir: %s: %w", s.file(keyFile), err)
	}
	b, err := os.ReadFile(s.file(savedFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, nil, fmt.Errorf("state_dir: %w", err)
	default:
		if err := json.Unmarshal(b, &s.saved); err != nil {
			return nil, nil, fmt.Errorf("state_dir: %s: %w", s.file(savedFile), err)
		}
	}
	return s, id, nil
}

func (s *stateDir) file(name string) string { return filepath.Join(s.path, name) }

func (s *stateDir) get() saved {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saved
}

// change writes the file if edit changes anything.
func (s *stateDir) change(edit func(*saved)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.saved
	edit(&next)
	if next == s.saved {
		return nil
	}
	b, err := json.MarshalIndent(next, "", "  ")
	if err != nil {
		return err
	}
	if err := wholefile.Write(s.file(savedFile), append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("state_dir: %w", err)
	}
	s.saved = next
	return nil
}
