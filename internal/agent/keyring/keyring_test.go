package keyring

import (
	"errors"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// While one question is open no other is asked, so that a dead keyring does not gather what
// waits for it.
func TestOneQuestion(t *testing.T) {
	s := New()
	s.probe = func(bool) error { return nil }
	release := make(chan struct{})
	if err := s.ask(time.Millisecond, false, func() error { <-release; return nil }); !errors.Is(err, ownline.ErrUnavailable) {
		t.Errorf("no answer: %v", err)
	}
	asked := false
	if err := s.ask(time.Minute, false, func() error { asked = true; return nil }); !errors.Is(err, ownline.ErrUnavailable) || asked {
		t.Errorf("asked beside another: %v, %t", err, asked)
	}
	close(release)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if err := s.ask(time.Minute, false, func() error { return nil }); err == nil {
			break
		} else if time.Now().After(end) {
			t.Fatalf("the question stays open: %v", err)
		}
	}
}
