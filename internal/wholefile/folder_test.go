package wholefile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/ownline/ownline/internal/wholefile"
)

// A folder is for its owner alone, new or not; one that everybody shares is left as it is.
func TestFolder(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes")
	}
	for name, mode := range map[string]fs.FileMode{"new": 0, "open": 0o755, "group": 0o770, "own": 0o700, "shared": 0o777 | fs.ModeSticky} {
		dir := filepath.Join(t.TempDir(), name)
		if mode != 0 {
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(dir, mode); err != nil {
				t.Fatal(err)
			}
		}
		err := wholefile.Folder(dir)
		info, serr := os.Stat(dir)
		if serr != nil {
			t.Fatal(serr)
		}
		want := fs.FileMode(0o700)
		if name == "shared" {
			want = 0o777
		}
		if (err != nil) != (name == "shared") || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
		}
	}
}
