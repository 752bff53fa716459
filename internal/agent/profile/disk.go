package profile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/wholefile"
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

// WriteFile replaces a file with content that only its owner can read, as a whole (wholefile.Write),
// in a folder that nobody else may write in. Missing folders are made.
func WriteFile(file string, content []byte) error {
	if err := makeFolder(filepath.Dir(file)); err != nil {
		return err
	}
	return wholefile.Write(file, content, 0o600)
}

// createFile is WriteFile for a file that must not be there (wholefile.Create).
func createFile(file string, content []byte) error {
	if err := makeFolder(filepath.Dir(file)); err != nil {
		return err
	}
	return wholefile.Create(file, content)
}

func makeFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := checkFolder(dir); err != nil {
		return err
	}
	wholefile.Sweep(dir)
	return nil
}
