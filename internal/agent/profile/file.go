package profile

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/ownline/ownline/internal/ownline"
)

// A file holds the profile's URI in its first line. When the secret is in the keyring the URI
// lacks it, and the second line names the keyring's entry.
const entryMark = "keyring "

type content struct {
	uri   string
	entry string // "": the secret is in the URI
}

func (c content) place() Place {
	if c.entry != "" {
		return InKeyring
	}
	return InFile
}

func (s Store) file(name string) string { return filepath.Join(s.Dir, name+suffix) }

// profile reads the URI without asking the keyring: a secret that is there is missing.
func (c content) profile() (ownline.Profile, error) {
	if c.entry != "" {
		return ownline.JoinProfile(c.uri, "")
	}
	return ownline.ParseProfile(c.uri)
}

// read reads a profile's file, unless others have a hand in it. The content is returned then,
// too, for whoever is about to remove it.
func (s Store) read(name string) (content, error) {
	if err := CheckName(name); err != nil {
		return content{}, err
	}
	file := s.file(name)
	text, mode, err := readFile(file, ownline.MaxProfile+256)
	if errors.Is(err, fs.ErrNotExist) {
		if target, err := os.Readlink(file); err == nil {
			return content{}, ownline.Invalid("profile", fmt.Sprintf(
				"%s is a link to %s, which is not there: mend the link, or run `ownline profiles remove %s`", file, target, name))
		}
		return content{}, ownline.NotFound("profile", name)
	}
	if err != nil {
		return content{}, err
	}
	uri, rest, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	c := content{uri: strings.TrimSpace(uri)}
	if entry, ok := strings.CutPrefix(rest, entryMark); ok {
		c.entry = entry
	}
	if _, err := c.profile(); err != nil {
		return c, fmt.Errorf("%w: %s", err, file)
	}
	if err := s.checkFolders(); err != nil {
		return c, err
	}
	return c, checkMode(file, mode.Perm(), c)
}

// checkFolders refuses folders in which others may write. Who may in the one above can put another
// in the place of the store's.
func (s Store) checkFolders() error {
	return cmp.Or(checkFolder(filepath.Dir(s.Dir)), checkFolder(s.Dir))
}

// checkMode refuses a file with a secret that others can read, and one that others can change:
// they would choose where this machine knocks.
func checkMode(file string, mode fs.FileMode, c content) error {
	others := mode & 0o077
	if c.place() == InKeyring {
		others = mode & 0o022
	}
	if others == 0 || runtime.GOOS == "windows" { // where the folder keeps others out
		return nil
	}
	return ownline.Forbidden("profile", fmt.Sprintf(
		"others than you may read or change %s (mode %04o): run `chmod 600` on it, and if somebody may have seen the secret, give the device a new one (`ownline devices rotate`)", file, mode))
}

// newEntry names a new entry in the keyring, for people to recognise and never to meet
// another: the old one stays good until the file points to the new one.
func newEntry(name string) string { return name + " " + rand.Text()[:12] }

// keyring is the store's, or one that is never there.
func (s Store) keyring() Keyring {
	if s.Keyring == nil {
		return none{}
	}
	return s.Keyring
}

type none struct{}

func (none) Ready() error                 { return fmt.Errorf("the system's keyring is %w", ownline.ErrUnavailable) }
func (n none) Set(_, _ string) error      { return n.Ready() }
func (n none) Get(string) (string, error) { return "", n.Ready() }
func (n none) Delete(string) error        { return n.Ready() }
