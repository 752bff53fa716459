// Package profile keeps the profiles of devices in files of their owner: each holds the
// secret by which a device knocks at one site, or says where in the system's keyring it is.
package profile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/wholefile"
)

const suffix = ".profile"

// Keyring keeps secrets for the user: the system's. Errors are of kind ErrNotFound when the
// secret of that name is gone, else of kind ErrUnavailable.
type Keyring interface {
	// Ready returns nil when secrets can be kept without anybody being asked anything.
	Ready() error
	Set(name, secret string) error
	Get(name string) (string, error)
	// Delete of what is gone already is no error.
	Delete(name string) error
}

// Store is a folder of profiles. Several programs may use it at once.
type Store struct {
	Dir     string  // made with the first profile
	Keyring Keyring // nil: there is none
}

// Place is where the secret of a profile is.
type Place string

// The places.
const (
	InFile    Place = "file"    // in the profile's own file, which is 0600
	InKeyring Place = "keyring" // in the system's keyring
)

// Kept is a profile without its secret.
type Kept struct {
	Name    string
	Profile ownline.Profile // without Key and the broker's password
	Secret  Place
	Err     error // why it can't be read; the rest is zero then, but for the name
}

// Save keeps a profile under a name, which must be free unless it is to be replaced. The
// file is 0600 and appears whole or not at all; after an error all is as before.
func (s Store) Save(name string, p ownline.Profile, secret Place, replace bool) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if err := s.checkFolders(); err != nil {
		return err
	}
	if !replace {
		if err := s.Free(name); err != nil {
			return err
		}
	}
	content, entry := p.URI()+"\n", ""
	if secret == InKeyring {
		open, hidden := p.Split()
		entry = newEntry(name)
		content = open + "\n" + entryMark + entry + "\n"
		// First the secret: a file that points to nothing would be worse than a secret to which
		// nothing points.
		if err := s.keyring().Set(entry, hidden); err != nil {
			return secretError(name, err)
		}
	}
	old, _ := s.read(name) // what can't be read has no secret that we could remove
	var err error
	if replace {
		err = WriteFile(s.file(name), []byte(content))
	} else if err = createFile(s.file(name), []byte(content)); errors.Is(err, fs.ErrExist) {
		err = taken(name)
	}
	switch {
	case err != nil && entry != "":
		return errors.Join(err, s.keyring().Delete(entry))
	case err != nil:
		return err
	case replace && old.entry != "":
		if err := s.keyring().Delete(old.entry); err != nil {
			return fmt.Errorf("%s was replaced, but the secret that it had is still in the keyring, as %q: %w", name, old.entry, err)
		}
	}
	return nil
}

// Free returns nil when no profile has the name, else ErrConflict.
func (s Store) Free(name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if _, err := os.Lstat(s.file(name)); err == nil {
		return taken(name)
	}
	return nil
}

func taken(name string) error {
	return ownline.Conflict("name", fmt.Sprintf("there is a profile %q already; choose another name with --name, or --replace it", name))
}

// Load returns the profile with that name, or ErrNotFound. It may ask the user to unlock the
// keyring.
func (s Store) Load(name string) (ownline.Profile, error) {
	c, err := s.read(name)
	if err != nil {
		return ownline.Profile{}, err
	}
	if c.entry == "" {
		return c.profile()
	}
	secret, err := s.keyring().Get(c.entry)
	if err != nil {
		return ownline.Profile{}, secretError(name, err)
	}
	return ownline.JoinProfile(c.uri, secret)
}

// secretError says what to do about a keyring that does not give or take the secret.
func secretError(name string, err error) error {
	if errors.Is(err, ownline.ErrNotFound) {
		return &ownline.FieldError{Kind: ownline.ErrNotFound, Field: "profile", Detail: fmt.Sprintf(
			"the secret of %q is gone from the system's keyring; give the device a new one (`ownline devices rotate`, or in the pages) and enroll with --replace --name %s", name, name)}
	}
	return fmt.Errorf("profile %q: %w. Unlock the keyring and try again; where there is none, keep the secret in a file (`--keyring off`)", name, err)
}

// Remove forgets a profile, and its secret wherever it is. The secret goes first: it stays
// known where it is until it is gone.
func (s Store) Remove(name string) error {
	c, err := s.read(name)
	switch {
	case errors.Is(err, ownline.ErrNotFound):
		return err
	case c.entry != "": // others may have changed the file: it goes as any
		if err := s.keyring().Delete(c.entry); err != nil {
			return secretError(name, err)
		}
	}
	return os.Remove(s.file(name))
}

// Move puts the secret of a profile into another place.
func (s Store) Move(name string, to Place) error {
	c, err := s.read(name)
	if err != nil {
		return err
	}
	if c.place() == to {
		return nil
	}
	p, err := s.Load(name)
	if err != nil {
		return err
	}
	return s.Save(name, p, to, true)
}

// List describes the profiles in the order of the alphabet. It asks no keyring.
func (s Store) List() ([]Kept, error) {
	names, err := s.Names()
	if err != nil {
		return nil, err
	}
	list := make([]Kept, 0, len(names))
	for _, name := range names {
		list = append(list, s.describe(name))
	}
	return list, nil
}

func (s Store) describe(name string) Kept {
	k := Kept{Name: name}
	c, err := s.read(name)
	if err == nil {
		k.Secret = c.place()
		k.Profile, err = c.profile()
		k.Profile.Key, k.Profile.Broker.Password = nil, nil
	}
	if err != nil {
		return Kept{Name: name, Err: err}
	}
	return k
}

// Names lists the profiles in the order of the alphabet.
func (s Store) Names() ([]string, error) {
	entries, err := os.ReadDir(s.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	wholefile.Sweep(s.Dir)
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
	name, err := s.choose(name)
	if err != nil {
		return "", ownline.Profile{}, err
	}
	p, err := s.Load(name)
	return name, p, err
}

// ChooseKept is Choose without the secret: no keyring is asked.
func (s Store) ChooseKept(name string) (string, ownline.Profile, error) {
	name, err := s.choose(name)
	if err != nil {
		return "", ownline.Profile{}, err
	}
	k := s.describe(name)
	return name, k.Profile, k.Err
}

func (s Store) choose(name string) (string, error) {
	if name != "" {
		return name, nil
	}
	names, err := s.Names()
	switch {
	case err != nil:
		return "", err
	case len(names) == 0:
		return "", &ownline.FieldError{Kind: ownline.ErrNotFound, Field: "profile", Detail: "there is none yet; run `ownline enroll -` and paste the profile that a new device is shown with"}
	case slices.Contains(names, "default"):
		return "default", nil
	case len(names) > 1:
		return "", ownline.Invalid("profile", "there are several; name one with --profile: "+strings.Join(names, ", "))
	}
	return names[0], nil
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
