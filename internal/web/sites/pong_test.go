package sites

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestPong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, asked := newPong(), 0
		var fails error
		get := func() (time.Duration, error) {
			return p.get(t.Context(), func(context.Context) (time.Duration, error) {
				asked++
				time.Sleep(time.Duration(asked) * 10 * time.Millisecond)
				return time.Duration(asked) * 10 * time.Millisecond, fails
			})
		}
		want := func(when string, took time.Duration, times int) {
			t.Helper()
			if got, err := get(); err != nil || got != took || asked != times {
				t.Errorf("%s: %s, %v after %d questions; want %s after %d", when, got, err, asked, took, times)
			}
		}

		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { want("together", 10*time.Millisecond, 1) })
		}
		all.Wait()
		time.Sleep(pongLasts - 1)
		want("just before a second", 10*time.Millisecond, 1)
		time.Sleep(1 * time.Nanosecond)
		want("after a second", 20*time.Millisecond, 2)

		time.Sleep(pongLasts)
		fails = errors.New("away")
		if _, err := get(); !errors.Is(err, fails) {
			t.Errorf("away: %v", err)
		}
		fails = nil
		want("there again", 40*time.Millisecond, 4)
	})
}

func TestPongEndsWithWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, answers := newPong(), make(chan struct{})
		ask := func(context.Context) (time.Duration, error) {
			<-answers
			return time.Millisecond, nil
		}
		go p.get(t.Context(), ask)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.get(ctx, ask); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a second question that waits: %v", err)
		}
		close(answers)
	})
}
