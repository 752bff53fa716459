package profile

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
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

// A profile that is made in steps, as by cp and chmod, is looked at when it is done.
func TestWatchSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		events, done := make(chan fsnotify.Event), make(chan error, 1)
		begin := time.Now()
		var told []time.Duration
		go func() {
			done <- passOn(ctx, events, nil, "/d", func() { told = append(told, time.Since(begin)) })
		}()
		for _, name := range []string{"/d/.ownline-new-1", "/d/home.profile", "/d/home.profile", "/d"} {
			events <- fsnotify.Event{Name: name}
			time.Sleep(settle / 10)
		}
		time.Sleep(time.Hour)
		events <- fsnotify.Event{Name: "/d"} // its mode, say
		time.Sleep(time.Hour)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if len(told) != 2 || told[0] != settle/10+settle || told[1] < time.Hour {
			t.Errorf("told at %v", told)
		}
	})
}
