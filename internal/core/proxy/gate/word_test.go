package gate_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ownline/ownline/internal/core/proxy/gate"
)

// A gate's word outlives a start of core, is for root alone, and never a weak one.
func TestWord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "proxy", "word")
	first, err := gate.Word(path)
	if err != nil || len(first) < 26 {
		t.Fatalf("%q, %v", first, err)
	}
	if again, err := gate.Word(path); again != first || err != nil {
		t.Errorf("%q became %q, %v", first, again, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	for _, broken := range []string{"", "\n", first[:5]} { // half written
		if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		if word, err := gate.Word(path); len(word) < 26 || word == first || err != nil {
			t.Errorf("%q, %v", word, err)
		}
	}
	if _, err := gate.Word(t.TempDir()); err == nil {
		t.Error("a folder is a word")
	}
}
