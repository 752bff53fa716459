package profile

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestWatch(t *testing.T) {
	s := Store{Dir: filepath.Join(t.TempDir(), "profiles")}
	ctx, cancel := context.WithCancel(t.Context())
	told, done := make(chan bool, 100), make(chan error, 1)
	go func() { done <- s.Watch(ctx, func() { told <- true }) }()
	wait := func(what string) {
		t.Helper()
		select {
		case <-told:
		case err := <-done:
			t.Fatal(err)
		case <-time.After(30 * time.Second):
			t.Fatalf("%s: not told", what)
		}
		for len(told) > 0 {
			<-told
		}
	}
	wait("begin")
	if err := s.Save("home", example(""), InFile, false); err != nil {
		t.Fatal(err)
	}
	wait("added")
	if err := s.Save("home", example(""), InFile, true); err != nil {
		t.Fatal(err)
	}
	wait("replaced")
	if err := os.Remove(filepath.Join(s.Dir, "home"+suffix)); err != nil {
		t.Fatal(err)
	}
	wait("removed")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
