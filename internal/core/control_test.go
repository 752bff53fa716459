package core_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core"
	"github.com/ownline/ownline/internal/ownline"
)

// A core that is stopped takes connections, and says nothing.
func TestCoreThatDoesNotAnswer(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "core.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = core.NewControl(socket).Flush(ctx)
	if !errors.Is(err, ownline.ErrUnavailable) || !strings.Contains(err.Error(), "does not answer") {
		t.Error(err)
	}
}
