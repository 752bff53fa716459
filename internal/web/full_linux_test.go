package web

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/config"
)

// Whoever asks is told that the disk is full, and that it no longer is.
func TestReadyFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16m"); err != nil {
		t.Skip("needs root: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	w := open(t, func(c *config.Web) { c.StateDir, c.Database = filepath.Join(dir, "state"), nil })
	url, stop := serve(t, w, io.Discard)
	if status, said := fetch(t, url+"/readyz"); status != 200 {
		t.Errorf("before: %d %s", status, said)
	}
	filler, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = filler.Write(bytes.Repeat([]byte{7}, 4096))
	}
	if err := filler.Close(); err != nil {
		t.Fatal(err)
	}
	err = nil
	for end := time.Now().Add(30 * time.Second); err == nil && time.Now().Before(end); {
		err = w.store.SetSetting(t.Context(), "test", time.Now().String())
	}
	if err == nil {
		t.Fatal("the full disk takes more")
	}
	if status, said := fetch(t, url+"/readyz"); status != 503 || said != "the database can't be written\n" {
		t.Errorf("full: %d %q", status, said)
	}
	if err := os.Remove(filler.Name()); err != nil {
		t.Fatal(err)
	}
	if status, said := fetch(t, url+"/readyz"); status != 200 {
		t.Errorf("after: %d %q", status, said)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
