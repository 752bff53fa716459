package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ownline/ownline/internal/link"
)

type fakeProxy struct {
	mu      sync.Mutex
	fail    error
	serves  []link.Service
	applied int
}

func (f *fakeProxy) failWith(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
}

func (f *fakeProxy) Apply(_ context.Context, s []link.Service) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.applied++
	if f.fail == nil {
		f.serves = s
	}
	return f.fail
}

type away struct{ error }

func (away) NotRunning() {}

// A server that is not there yet is no failure; one that refuses then is.
func TestNotRunning(t *testing.T) {
	var said strings.Builder
	s := NewServices(nil, slog.New(slog.NewTextHandler(&said, nil)))
	for _, step := range []struct {
		err   error
		level string
	}{{fmt.Errorf("put: %w", away{errors.New("x")}), "WARN"}, {away{errors.New("x")}, ""}, {errors.New("y"), "ERROR"}, {nil, "INFO"}} {
		said.Reset()
		s.finish(step.err)
		if got := said.String(); step.level == "" && got != "" || !strings.Contains(got, step.level) {
			t.Errorf("of %v it says %q", step.err, got)
		}
	}
}

// The proxy follows what is wanted, in as few steps as it can, and is tried again after it failed.
func TestServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := new(fakeProxy)
		s := NewServices(fake, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		for _, name := range []string{"a", "b", "c"} {
			s.Set([]link.Service{{Name: name}})
		}
		go func() { done <- s.Run(ctx) }()
		synctest.Wait()
		if fake.applied != 1 || fake.serves[0].Name != "c" || s.Err() != nil || s.Len() != 1 {
			t.Errorf("applied %d times: %+v, %v", fake.applied, fake.serves, s.Err())
		}
		refused := errors.New("refused")
		fake.failWith(refused)
		s.Set(nil)
		synctest.Wait()
		if !errors.Is(s.Err(), refused) || len(fake.serves) != 1 {
			t.Errorf("after a failure: %+v, %v", fake.serves, s.Err())
		}
		fake.failWith(nil)
		time.Sleep(retryEvery + time.Millisecond)
		synctest.Wait()
		if s.Err() != nil || len(fake.serves) != 0 || fake.applied != 3 {
			t.Errorf("a second later: applied %d times, %+v, %v", fake.applied, fake.serves, s.Err())
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
