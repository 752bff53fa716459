package gate

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Invariant 3: nobody but root and core can put a socket in the gate's place.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	for mode, ok := range map[os.FileMode]bool{0o700: true, 0o755: true, 0o775: false, 0o757: false, 0o777 | os.ModeSticky: false} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		l, err := listen(filepath.Join(dir, "gate"), -1)
		if (err == nil) != ok || !ok && !strings.Contains(err.Error(), "others than root may write in "+dir) {
			t.Errorf("%v: %v", mode, err)
		}
		if l != nil {
			l.Close()
		}
	}
	below := filepath.Join(dir, "below")
	if err := os.Mkdir(below, 0o755); err != nil {
		t.Fatal(err)
	}
	for mode, ok := range map[os.FileMode]bool{0o777: false, 0o777 | os.ModeSticky: true} { // as in /tmp
		os.Chmod(dir, mode)
		if err := CheckFolder(filepath.Join(below, "gate")); (err == nil) != ok {
			t.Errorf("below %v: %v", mode, err)
		}
	}
	os.Chmod(dir, 0o755)
	if os.Geteuid() == 0 {
		if err := os.Chown(below, 12345, -1); err != nil {
			t.Fatal(err)
		}
		if CheckFolder(filepath.Join(below, "gate")) == nil {
			t.Error("somebody else's folder is taken")
		}
	}
	l, err := net.Listen("unix", filepath.Join(dir, "other"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := listen(filepath.Join(dir, "other"), -1); err == nil || !strings.Contains(err.Error(), "or another program") {
		t.Errorf("a socket of another program: %v", err)
	}
}
