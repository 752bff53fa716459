package wholefile

import (
	"fmt"
	"io/fs"
	"os"
)

// Folder makes a folder that is for its owner alone. One that is there and open to others is made so,
// but for one that everybody shares, like /tmp: that is refused.
func Folder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSticky != 0 {
		return fmt.Errorf("%s is a folder that everybody shares; name one that is for Ownline alone", path)
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	if err := os.Chmod(path, 0o700); err != nil {
		return fmt.Errorf("%s is open to others, with mode %#o: make it for its owner alone, with `chmod 700`: %w", path, info.Mode().Perm(), err)
	}
	return nil
}
