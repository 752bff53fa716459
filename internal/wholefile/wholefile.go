// Package wholefile: files that are written as a whole. A crash leaves the old one or the new one,
// and whoever reads meanwhile sees one of the two.
package wholefile

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// Mark begins the name of a file that is being written. It may hold a secret.
	Mark = ".ownline-new-"
	// staleAfter is when whoever wrote such a file was killed, for sure.
	staleAfter = time.Minute
)

// Write replaces a file. What a crash leaves of the new one, Sweep removes. The steps are plain because
// a small core has little room for code, and os.Chmod because it needs that elsewhere, too.
func Write(file string, content []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(file), Mark+"*") // 0600
	if err != nil {
		return err
	}
	if _, err = f.Write(content); err == nil {
		err = os.Chmod(f.Name(), mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	// The name reaches the disk, too, on systems that can be asked for it; the file has it already.
	if f, err = os.Open(filepath.Dir(file)); err == nil {
		f.Sync()
		f.Close()
	}
	return nil
}

// Create writes a file for its owner alone, which must not be there: fs.ErrExist when it is, also when
// another program makes it at the same time.
func Create(file string, content []byte) error {
	whole := filepath.Join(filepath.Dir(file), Mark+rand.Text())
	if err := Write(whole, content, 0o600); err != nil {
		return err
	}
	err := os.Link(whole, file)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return errors.Join(err, os.Remove(whole))
	}
	// Some file systems have no links, and Android allows none. An empty file takes the
	// name instead; a crash before it is replaced leaves it behind.
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return errors.Join(err, os.Remove(whole))
	}
	if err = errors.Join(f.Close(), os.Rename(whole, file)); err != nil {
		return errors.Join(err, os.Remove(file), os.Remove(whole))
	}
	return nil
}

// Sweep removes from a folder what programs that were killed have left of their writing. What can't
// be removed waits for the next time.
func Sweep(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), Mark) || !e.Type().IsRegular() {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > staleAfter {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}
