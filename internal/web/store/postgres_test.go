package store_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/store"
	"github.com/ownline/ownline/internal/web/store/pgtest"
	"github.com/ownline/ownline/internal/web/store/storetest"
)

func TestPostgres(t *testing.T) {
	byTest := make(map[testing.TB]string)
	storetest.Contract(t, func(tb testing.TB) *store.Store {
		if byTest[tb] == "" {
			byTest[tb] = pgtest.Database(tb)
		}
		return openAt(tb, byTest[tb])
	})
}

func openAt(tb testing.TB, database string) *store.Store {
	tb.Helper()
	s, err := store.Open(context.Background(), database, key)
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

// A server that was away is used again as soon as it is there, and what it had confirmed is
// there.
func TestPostgresRestarted(t *testing.T) {
	server, err := pgtest.Start(pgtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}()
	name, err := server.Create()
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), server.Address(name), key)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for round := range 2 {
		if err := s.SetSetting(t.Context(), "k", "before"); err != nil {
			t.Fatal(round, err)
		}
		// In the middle of a transaction.
		err := s.Write(t.Context(), func(tx *store.Tx) error {
			if err := errors.Join(tx.SetSetting("k", "lost"), server.Down()); err != nil {
				return err
			}
			return tx.SetSetting("k", "lost too")
		})
		if !errors.Is(err, ownline.ErrUnavailable) {
			t.Errorf("Write while the server goes down = %v, want ErrUnavailable", err)
		}
		for range 3 {
			if _, err := s.CountUsers(t.Context()); !errors.Is(err, ownline.ErrUnavailable) || strings.Contains(err.Error(), "password=") {
				t.Errorf("Read while the server is down = %v, want ErrUnavailable", err)
			}
		}
		if err := server.Up(); err != nil {
			t.Fatal(err)
		}
		for range 5 { // every reader's connection was lost
			if v, err := s.Setting(t.Context(), "k"); v != "before" || err != nil {
				t.Errorf("Setting after the server is back = %q, %v", v, err)
			}
		}
		if err := s.SetSetting(t.Context(), "k", "after"); err != nil {
			t.Errorf("Write after the server is back: %v", err)
		}
	}
}

// A server that was told to confirm before the disk has it does not do so for us.
func TestPostgresDurable(t *testing.T) {
	address := pgtest.Database(t)
	s := openAt(t, address)
	if err := s.Exec(t.Context(), "ALTER ROLE CURRENT_USER SET synchronous_commit = off"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Exec(context.Background(), "ALTER ROLE CURRENT_USER RESET synchronous_commit"); err != nil {
			t.Error(err)
		}
	}()
	other := openAt(t, address)
	if err := other.Exec(t.Context(), "CREATE TABLE seen AS SELECT current_setting('synchronous_commit') AS is"); err != nil {
		t.Fatal(err)
	}
	if err := other.Exec(t.Context(), "INSERT INTO settings (key, value) SELECT 'seen', seen.is FROM seen"); err != nil {
		t.Fatal(err)
	}
	if v, err := other.Setting(t.Context(), "seen"); v != "on" || err != nil {
		t.Errorf("synchronous_commit = %q, %v; want on", v, err)
	}
}

func TestPostgresAtOnce(t *testing.T) {
	address := pgtest.Database(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { openAt(t, address) })
	}
	wg.Wait()
}

// No error says the password.
func TestPostgresAddress(t *testing.T) {
	for _, address := range []string{
		"postgres://ana:hunter2@127.0.0.1:1/x?connect_timeout=1", "postgres://ana:hunter2@%zz/x", "postgres://ana:hunter2@h:port/x",
		"postgres://ana:hunter2@/x?sslmode=what", "postgres://ana:hunter2@127.0.0.1:1/x?host=/nowhere",
	} {
		_, err := store.Open(t.Context(), address, key)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open(%q) = %v, want an error without the password", address, err)
		}
	}
}
