package profile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
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

// read reads a profile's file, unless others have a hand in it. The content is returned then,
// too, for whoever is about to remove it.
func (s Store) read(name string) (content, error) {
	if err := CheckName(name); err != nil {
		return content{}, err
	}
	f, err := os.Open(s.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return content{}, ownline.NotFound("profile", name)
	}
	if err != nil {
		return content{}, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, ownline.MaxProfile+256))
	if err != nil {
		return content{}, err
	}
	uri, rest, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	c := content{uri: strings.TrimSpace(uri)}
	c.entry, _ = strings.CutPrefix(rest, entryMark)
	info, err := f.Stat()
	if err != nil {
		return content{}, err
	}
	return c, checkMode(f.Name(), info.Mode().Perm(), c)
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

// WriteFile replaces a file with content that only its owner can read (0600), in one step
// and synced, so that a crash leaves the old or the new one. Missing folders are made.
func WriteFile(file string, content []byte) error {
	temporary, err := writeBeside(file, content)
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, file); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return nil
}

// createFile is WriteFile for a file that must not be there: ErrExist, when it is, also
// when another program makes it at the same time.
func createFile(file string, content []byte) error {
	temporary, err := writeBeside(file, content)
	if err != nil {
		return err
	}
	err = os.Link(temporary, file)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		// Some file systems have no links, and Android allows none. An empty file takes the
		// name instead; a crash before it is replaced leaves it behind.
		var f *os.File
		if f, err = os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			if err = errors.Join(f.Close(), os.Rename(temporary, file)); err == nil {
				return nil
			}
			err = errors.Join(err, os.Remove(file))
		}
	}
	return errors.Join(err, os.Remove(temporary))
}

// writeBeside writes content into a new file in the folder of another.
func writeBeside(file string, content []byte) (name string, err error) {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, ".new-*") // 0600
	if err != nil {
		return "", err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}
