package store

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/ownline/ownline/internal/ownline"
)

// KeyFile reads the key that seals secrets from a file of 32 random bytes in base64. When
// it is not there, the file is made (mode 0600), but never beside a database: that one was
// made with another key, and needs it. A file that others may read is refused.
func KeyFile(ctx context.Context, path, database string) (ownline.Secret, error) {
	key, err := readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	there, err := exists(ctx, database)
	if err != nil {
		return nil, err
	}
	if there {
		if key, err := readKey(path); err == nil {
			return key, nil // another process has just made both
		}
		return nil, fmt.Errorf("secret key file %s is missing: bring back the one that the database was made with", path)
	}
	_, content := newKey()
	// Never over one that another process has just made: a key must not change.
	if err := writeFile(path, content, os.Link); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make secret key file: %w", err)
	}
	return readKey(path)
}

// exists reports whether a database has been made already.
func exists(ctx context.Context, database string) (there bool, err error) {
	if !IsPostgres(database) {
		_, err := os.Stat(database)
		return err == nil, nil
	}
	_, db, readers, name, err := open(database)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, db.Close(), readers.Close()) }()
	if err := db.QueryRowContext(ctx, "SELECT to_regclass('settings') IS NOT NULL").Scan(&there); err != nil {
		return false, fmt.Errorf("open database %s: %w", name, unavailable(err))
	}
	return there, nil
}

func readKey(path string) (ownline.Secret, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("secret key file: %w", err)
	}
	if fi.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("secret key file %s may be read by others (mode %#o): run chmod 600 on it", path, fi.Mode().Perm())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("secret key file: %w", err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(key) != keySize {
		return nil, fmt.Errorf("secret key file %s does not hold %d bytes in base64", path, keySize)
	}
	return key, nil
}

// newKey makes a key, and the content of its file.
func newKey() (key ownline.Secret, content []byte) {
	key = make(ownline.Secret, keySize)
	rand.Read(key) // never fails: crypto/rand crashes the program instead
	return key, []byte(base64.StdEncoding.EncodeToString(key) + "\n")
}
