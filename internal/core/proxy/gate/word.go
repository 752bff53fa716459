package gate

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ownline/ownline/internal/wholefile"
)

// Word returns a gate's word, which is kept in a file for root alone: a server has it in its
// configuration, which is not to change with every start of core.
func Word(path string) (string, error) {
	b, err := os.ReadFile(path)
	if word := strings.TrimSpace(string(b)); err == nil && len(word) >= wordLength {
		return word, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	word := rand.Text()
	return word, wholefile.Write(path, []byte(word+"\n"), 0o600)
}

const wordLength = 26 // of rand.Text
