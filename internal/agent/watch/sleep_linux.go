package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// sleep is a timer that hardly ever rings, but is cancelled by the kernel when the clock jumps: it was
// set, or the machine has slept.
type sleep struct{ timer *os.File }

// rings is how far ahead the timer is set. It fits where seconds have 32 bits, until 2037.
const rings = 365 * 24 * time.Hour

func openSleep() (teller, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("timerfd: %w", err)
	}
	s := sleep{os.NewFile(uintptr(fd), "timerfd")}
	if err := s.arm(); err != nil {
		s.timer.Close()
		return nil, err
	}
	return s, nil
}

func (s sleep) arm() error {
	conn, err := s.timer.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	at := unix.ItimerSpec{Value: unix.NsecToTimespec(time.Now().Add(rings).UnixNano())}
	err = conn.Control(func(fd uintptr) {
		set = unix.TimerfdSettime(int(fd), unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &at, nil)
	})
	if err = errors.Join(err, set); err != nil {
		return fmt.Errorf("timerfd: %w", err)
	}
	return nil
}

func (s sleep) run(ctx context.Context, tell func()) error {
	stop := context.AfterFunc(ctx, func() { s.timer.Close() })
	defer stop()
	steady := time.Now()
	wall := steady.Round(0)
	var rung [8]byte
	for {
		_, err := s.timer.Read(rung[:])
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !errors.Is(err, unix.ECANCELED):
			return fmt.Errorf("timerfd: %w", err)
		}
		now := time.Now()
		// Time servers set clocks a little now and then.
		if jump := now.Round(0).Sub(wall) - now.Sub(steady); jump.Abs() > slack/2 {
			tell()
		}
		steady, wall = now, now.Round(0)
		if err := s.arm(); err != nil && ctx.Err() == nil {
			return err
		}
	}
}
