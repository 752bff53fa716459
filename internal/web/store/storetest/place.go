package storetest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/ownline/ownline/internal/web/store/pgtest"
)

// DatabaseVariable names the kind of database that tests of what lies above the store use:
// sqlite, which is also meant when it is empty, or postgres.
const DatabaseVariable = "OWNLINE_TEST_DATABASE"

// Place returns where a new database of the test can be opened, of the kind that
// DatabaseVariable says.
func Place(tb testing.TB) string {
	tb.Helper()
	switch kind := os.Getenv(DatabaseVariable); kind {
	case "", "sqlite":
		return filepath.Join(tb.TempDir(), "web.db")
	case "postgres":
		return pgtest.Database(tb)
	default:
		tb.Fatal(fmt.Errorf("%s=%s is neither sqlite nor postgres", DatabaseVariable, kind))
		return ""
	}
}
