// Package bedtest: what tests need to use a bed.
package bedtest

import (
	"fmt"
	"os"
	"testing"

	"github.com/ownline/ownline/test/bed"
)

// Main is the whole TestMain of a package whose tests use a bed: it enters a user namespace
// if that is needed, then runs the tests and ends the process. Where no bed can be built the
// tests run all the same; those that call Need or New skip.
func Main(m *testing.M) {
	if err := bed.Enter(); err != nil {
		fmt.Fprintf(os.Stderr, "tests that need a bed will skip: %v\n", err)
	}
	os.Exit(m.Run())
}

// Need skips the test, saying why, if this system lets us build no bed.
func Need(tb testing.TB) {
	tb.Helper()
	if err := bed.Check(); err != nil {
		tb.Skip(err)
	}
}

// New builds a bed that is closed at the end of the test.
func New(tb testing.TB, opts ...bed.Option) *bed.Bed {
	tb.Helper()
	Need(tb)
	b, err := bed.New(tb.Context(), opts...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := b.Close(); err != nil {
			tb.Errorf("close bed: %v", err)
		}
	})
	return b
}
