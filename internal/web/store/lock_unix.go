//go:build unix

package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// tryLock takes the lock of a file, which it makes (mode 0600) when it is not there. The
// system lets go of it when the process dies, however it does. errHeld: another has it.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		if f, err = makeLock(path); errors.Is(err, fs.ErrExist) {
			return nil, errHeld // another process was quicker
		}
	}
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errHeld
		}
		return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
	}
	return f, nil
}

// makeLock makes the file. Of a command that root runs, it is to be the server's
// nevertheless: whoever owns the folder gets it.
func makeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil || os.Geteuid() != 0 {
		return f, err
	}
	dir, err := os.Stat(filepath.Dir(path))
	if err == nil {
		if of, ok := dir.Sys().(*syscall.Stat_t); ok {
			err = f.Chown(int(of.Uid), int(of.Gid))
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// ours reports whether a file is of the user that we run as.
func ours(fi fs.FileInfo) bool {
	of, ok := fi.Sys().(*syscall.Stat_t)
	return ok && int(of.Uid) == os.Geteuid()
}
