// Package keyring keeps secrets in the system's keyring: the Secret Service of a Linux
// desktop (by D-Bus), the Keychain of macOS, the Credential Manager of Windows. It never waits
// for longer than its bounds: many machines have no keyring, or one that is locked and nobody
// there to unlock it.
package keyring

import (
	"errors"
	"fmt"
	"time"

	system "github.com/zalando/go-keyring"

	"github.com/ownline/ownline/internal/ownline"
)

// service is the name that all secrets have in common.
const service = "ownline"

const (
	// probeTime is how long it is waited to learn whether there is a keyring.
	probeTime = 3 * time.Second
	// promptTime is how long somebody has to type the keyring's password.
	promptTime = time.Minute
)

// errUnanswered says that the keyring did not answer in time. The question may still be open.
var errUnanswered = errors.New("it does not answer")

// System is the keyring of the user that runs the program.
type System struct {
	asked chan struct{} // holds a value while a question is open
	probe func(unlocked bool) error
}

// New makes a System; it asks nothing yet.
func New() *System { return &System{asked: make(chan struct{}, 1), probe: probe} }

// Ready returns nil when secrets can be kept and read without anybody being asked anything,
// else why not, as ErrUnavailable.
func (s *System) Ready() error {
	return s.ask(2*probeTime, true, func() error { return nil })
}

// Set keeps a secret under a name, and sees that it can be read again. It may ask the user
// to unlock the keyring.
func (s *System) Set(name, secret string) error {
	return s.ask(promptTime, false, func() error {
		if err := system.Set(service, name, secret); err != nil {
			return err
		}
		// Some keyrings say that all went well when it did not.
		got, err := system.Get(service, name)
		if err != nil {
			return fmt.Errorf("read again what was kept: %w", err)
		}
		if got != secret {
			return errors.New("it does not return what was kept")
		}
		return nil
	})
}

// Get returns the secret of that name, or ErrNotFound. It may ask the user to unlock the
// keyring.
func (s *System) Get(name string) (secret string, err error) {
	var got string // not secret: a late answer must not be written where nobody waits
	err = s.ask(promptTime, false, func() error {
		var err error
		got, err = system.Get(service, name)
		return err
	})
	if err != nil {
		return "", err
	}
	return got, nil
}

// Delete removes the secret of that name; that it is gone already is no error.
func (s *System) Delete(name string) error {
	err := s.ask(promptTime, false, func() error { return system.Delete(service, name) })
	if errors.Is(err, ownline.ErrNotFound) {
		return nil
	}
	return err
}

// ask puts one question to the keyring. The library can't be interrupted: when there is no
// answer in time the question stays open, and no other is asked until it is answered.
func (s *System) ask(within time.Duration, unlocked bool, question func() error) error {
	select {
	case s.asked <- struct{}{}:
	default:
		return unavailable(errUnanswered)
	}
	answer := make(chan error, 1)
	go func() {
		err := s.probe(unlocked)
		if err == nil {
			err = question()
		}
		<-s.asked
		answer <- err
	}()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case err := <-answer:
		switch {
		case err == nil:
			return nil
		case errors.Is(err, system.ErrNotFound):
			return ownline.NotFound("secret", "ownline")
		}
		return unavailable(err)
	case <-timer.C:
		return unavailable(errUnanswered)
	}
}

func unavailable(why error) error {
	return fmt.Errorf("the system's keyring is %w: %w", ownline.ErrUnavailable, why)
}
