package core

import (
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/ownline/ownline/internal/ownline"
)

// What a core of another version does not know is told from what goes wrong.
func TestAnOlderCore(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	srv := &http.Server{Handler: mux}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	c := NewControl(socket)
	if _, err := c.Settings(t.Context()); !errors.Is(err, ownline.ErrNotFound) {
		t.Errorf("settings: %v", err)
	}
	if _, err := c.Status(t.Context()); err == nil || errors.Is(err, ownline.ErrNotFound) {
		t.Errorf("status: %v", err)
	}
}
