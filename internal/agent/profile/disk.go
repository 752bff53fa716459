package profile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

const (
	// newMark begins the name of a file that is being written. It may hold a secret.
	newMark = ".new-"
	// staleAfter is when whoever wrote such a file was killed, for sure.
	staleAfter = time.Minute
)

// ReadFile reads a file that WriteFile may have written: a regular one of at most limit bytes, in
// a folder that nobody else may write in. It waits for nobody, as reading a pipe would.
func ReadFile(file string, limit int64) ([]byte, error) {
	content, _, err := readFile(file, limit)
	if err != nil {
		return nil, err
	}
	return content, checkFolder(filepath.Dir(file))
}

// CheckFile refuses what is there but is no regular file: to open it could take for ever.
func CheckFile(file string) error {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return checkRegular(file, info)
}

func checkRegular(file string, info fs.FileInfo) error {
	mode := info.Mode()
	if mode.IsRegular() {
		return nil
	}
	is := "no regular file"
	switch {
	case mode.IsDir():
		is = "a folder"
	case mode&fs.ModeNamedPipe != 0:
		is = "a named pipe"
	case mode&fs.ModeSocket != 0:
		is = "a socket"
	case mode&fs.ModeDevice != 0:
		is = "a device"
	}
	return ownline.Invalid("file", fmt.Sprintf("%s is %s where a regular file belongs: remove it", file, is))
}

// readFile is ReadFile in a folder of whomever. It returns the file's mode, too.
func readFile(file string, limit int64) ([]byte, fs.FileMode, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, 0, err
	}
	if err := checkRegular(file, info); err != nil {
		return nil, 0, err
	}
	// A pipe may have taken its place meanwhile.
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, 0, err
	}
	if err := checkRegular(file, info); err != nil {
		return nil, 0, err
	}
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, 0, err
	}
	if int64(len(content)) > limit {
		return nil, 0, ownline.Invalid("file", fmt.Sprintf("%s is larger than %d bytes, and not what Ownline wrote: remove it", file, limit))
	}
	return content, info.Mode(), nil
}

// checkFolder refuses a folder that others may write in: they would choose what is read there. One
// that is not there holds nothing.
func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Perm()&0o022 == 0 || runtime.GOOS == "windows": // which has no such modes
		return nil
	}
	return ownline.Forbidden("folder", fmt.Sprintf(
		"others than you may write in %s (mode %04o): run `chmod go-w %s`, and look whether all that is in there is yours", dir, info.Mode().Perm(), dir))
}

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
	if err := checkFolder(dir); err != nil {
		return "", err
	}
	sweep(dir)
	f, err := os.CreateTemp(dir, newMark+"*") // 0600
	if err != nil {
		return "", err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// sweep removes what programs that were killed have left of their writing. What can't be removed
// waits for the next time.
func sweep(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), newMark) || !e.Type().IsRegular() {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > staleAfter {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}
