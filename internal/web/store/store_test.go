package store_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/store"
	"github.com/ownline/ownline/internal/web/store/storetest"
)

var key = ownline.Secret(bytes.Repeat([]byte{1}, 32))

// opener opens one database of the test, again and again.
func opener(tb testing.TB) func(testing.TB) *store.Store {
	path := filepath.Join(tb.TempDir(), "a b?%.db")
	return func(tb testing.TB) *store.Store {
		tb.Helper()
		s, err := store.Open(context.Background(), path, key)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() {
			if err := s.Close(); err != nil {
				tb.Error(err)
			}
		})
		return s
	}
}

func TestSQLite(t *testing.T) {
	byTest := make(map[testing.TB]func(testing.TB) *store.Store)
	storetest.Contract(t, func(tb testing.TB) *store.Store {
		if byTest[tb] == nil {
			byTest[tb] = opener(tb)
		}
		return byTest[tb](tb)
	})
}

func TestSecretsAtRest(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "web.db")
	s, err := store.Open(t.Context(), path, key)
	if err != nil {
		t.Fatal(err)
	}
	f := storetest.Fill(t, s)
	if _, err := s.LinkIdentity(t.Context(), func() ([]byte, error) { return []byte("-----BEGIN"), nil }); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, f.Device.Secret[:8]) || bytes.Contains(b, []byte("-----BEGIN")) {
			t.Errorf("%s holds a secret in the clear", name)
		}
		if fi, err := os.Stat(name); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", name, fi.Mode(), err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.SetSetting(t.Context(), "k", "v"); !errors.Is(err, ownline.ErrUnavailable) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := store.Open(t.Context(), path, bytes.Repeat([]byte{2}, 32)); err == nil || !strings.Contains(err.Error(), "secret key") {
		t.Errorf("Open with another key = %v", err)
	}
}

func TestKeyFile(t *testing.T) {
	path, database := filepath.Join(t.TempDir(), "key"), filepath.Join(t.TempDir(), "db")
	keys := make([]ownline.Secret, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			var err error
			if keys[i], err = store.KeyFile(t.Context(), path, database); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, k := range keys {
		if len(k) != 32 || !bytes.Equal(k, keys[0]) {
			t.Fatal("those who made the file at once got different keys")
		}
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := store.KeyFile(t.Context(), path, database); err == nil {
		t.Error("a key that others may read was taken")
	}
	if _, err := store.KeyFile(t.Context(), filepath.Join(t.TempDir(), "no", "dir"), database); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	if err := os.WriteFile(database, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	lost := filepath.Join(t.TempDir(), "lost")
	if _, err := store.KeyFile(t.Context(), lost, database); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("a database without its key: %v, want an error that says so", err)
	}
	if _, err := os.Stat(lost); err == nil {
		t.Error("a new key was made for a database that needs its old one")
	}
}

// Several processes may start on a new database at once.
func TestOpenAtOnce(t *testing.T) {
	open := opener(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { open(t) })
	}
	wg.Wait()
}

func TestNewerDatabase(t *testing.T) {
	open := opener(t)
	s := open(t)
	if err := s.Exec(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)"); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(t.Context(), s.Path(), key)
	if err == nil || !strings.Contains(err.Error(), "newer") {
		t.Errorf("Open of a newer database = %v", err)
	}
}

// The rule that a knock counts once gives the same verdicts as knock.Memory, whatever comes
// in whatever order.
func FuzzOnce(f *testing.F) {
	f.Add([]byte{1, 0, 0, 1, 0, 0, 2, 0, 9, 1, 0, 200})
	s := opener(f)(f)
	fix := storetest.Fill(f, s)
	f.Fuzz(func(t *testing.T, in []byte) {
		d := fix.Device
		d.ID = ownline.NewID[ownline.Device]()
		if err := s.Write(t.Context(), func(tx *store.Tx) error { return tx.AddDevice(d) }); err != nil {
			t.Fatal(err)
		}
		var m knock.Memory
		for ; len(in) >= 3; in = in[3:] {
			n := knock.Nonce{in[0]}
			made := storetest.T0.Add(time.Duration(binary.BigEndian.Uint16(in[1:])) * 17 * time.Millisecond)
			got, want := storetest.Accept(t, s, d.ID, n, made, time.Minute), m.Accept(n, made, time.Minute)
			if got != want {
				t.Fatalf("nonce %d made %s: %t, want %t", in[0], made, got, want)
			}
		}
	})
}
