package brokercert

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/broker/brokertest"
)

// Renewed files count without a restart; those that are damaged don't, and are told of.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	_, certFile, keyFile := brokertest.Certificate(t, dir)
	if _, err := Files(certFile, filepath.Join(dir, "none"), slog.New(slog.DiscardHandler)); err == nil || !strings.HasPrefix(err.Error(), "mqtt.embedded.cert_file: ") {
		t.Errorf("without a key: %v", err)
	}
	f, err := Files(certFile, keyFile, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	first, err := f.Certificate(nil)
	if err != nil || !f.Status().Expires.Equal(first.Leaf.NotAfter) || f.Status().Problem != "" {
		t.Fatalf("%v, %+v", err, f.Status())
	}
	write := func(name string, b []byte) {
		t.Helper()
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		stamp := time.Now().Add(time.Duration(len(b)) * time.Second) // another one in any case
		if err := os.Chtimes(name, stamp, stamp); err != nil {
			t.Fatal(err)
		}
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("it never comes to pass: %s; %+v", what, f.Status())
			}
		}
	}
	write(certFile, []byte("rubbish"))
	until("damaged files are told of", func() bool { return f.Status().Problem != "" })
	if c, err := f.Certificate(nil); err != nil || c != first {
		t.Errorf("damaged: %v", err)
	}
	other := filepath.Join(dir, "other")
	if err := os.Mkdir(other, 0o700); err != nil {
		t.Fatal(err)
	}
	_, otherCert, otherKey := brokertest.Certificate(t, other)
	for from, to := range map[string]string{otherKey: keyFile, otherCert: certFile} {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		write(to, b)
	}
	until("the renewed one is shown", func() bool {
		c, err := f.Certificate(nil)
		return err == nil && !c.Leaf.Equal(first.Leaf) && f.Status().Problem == ""
	})
}
