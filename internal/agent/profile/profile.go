// Package profile keeps the profiles of devices in files of their owner: each holds the
// secret by which a device knocks at one site.
package profile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ownline/ownline/internal/ownline"
)

const suffix = ".profile"

// Store is a folder of profiles. Several programs may use it at once.
type Store struct {
	Dir string // made with the first profile
}

// Save keeps a profile under a name, which must be free unless it is to be replaced. The
// file is 0600 and appears whole or not at all.
func (s Store) Save(name string, p ownline.Profile, replace bool) error {
	if err := CheckName(name); err != nil {
		return err
	}
	file := filepath.Join(s.Dir, name+suffix)
	if _, err := os.Lstat(file); err == nil && !replace {
		return ownline.Conflict("name", fmt.Sprintf("there is a profile %q already; choose another name, or replace it", name))
	}
	return WriteFile(file, []byte(p.URI()+"\n"))
}

// Load returns the profile with that name, or ErrNotFound.
func (s Store) Load(name string) (ownline.Profile, error) {
	if err := CheckName(name); err != nil {
		return ownline.Profile{}, err
	}
	content, err := os.ReadFile(filepath.Join(s.Dir, name+suffix))
	if errors.Is(err, fs.ErrNotExist) {
		return ownline.Profile{}, ownline.NotFound("profile", name)
	}
	if err != nil {
		return ownline.Profile{}, err
	}
	return ownline.ParseProfile(strings.TrimSpace(string(content)))
}

// Names lists the profiles in the order of the alphabet.
func (s Store) Names() ([]string, error) {
	entries, err := os.ReadDir(s.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), suffix); ok && CheckName(name) == nil {
			names = append(names, name)
		}
	}
	return names, nil
}

// Choose returns the profile with that name, or the only one there is when name is "".
func (s Store) Choose(name string) (string, ownline.Profile, error) {
	if name == "" {
		names, err := s.Names()
		switch {
		case err != nil:
			return "", ownline.Profile{}, err
		case len(names) == 0:
			return "", ownline.Profile{}, &ownline.FieldError{Kind: ownline.ErrNotFound, Field: "profile", Detail: "there is none yet; run `ownline enroll URI` with the address that a new device is shown with"}
		case len(names) > 1 && !slices.Contains(names, "default"):
			return "", ownline.Profile{}, ownline.Invalid("profile", "there are several; name one with --profile: "+strings.Join(names, ", "))
		}
		name = names[0]
		if slices.Contains(names, "default") {
			name = "default"
		}
	}
	p, err := s.Load(name)
	return name, p, err
}

// CheckName refuses what is no name of a profile. The error is about the field "name".
func CheckName(name string) error {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
	if name == "" || len(name) > 64 || name[0] == '.' || strings.Trim(name, allowed) != "" {
		return ownline.Invalid("name", fmt.Sprintf("%q is no name for a profile: 1 to 64 letters, digits, -, _ and ., not beginning with .", name))
	}
	return nil
}

// NameFor makes a name for a profile of the one that stands in it.
func NameFor(title string) string {
	name := strings.Trim(strings.Map(func(r rune) rune {
		if CheckName("a"+string(r)) != nil {
			return '-'
		}
		return r
	}, title), "-.")
	if name = name[:min(len(name), 64)]; name == "" {
		return "default"
	}
	return name
}

// WriteFile replaces a file with content that only its owner can read (0600), in one step
// and synced, so that a crash leaves the old or the new one. Missing folders are made.
func WriteFile(file string, content []byte) (err error) {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}
