// Package systemd tells the service manager how a daemon is, by the protocol of sd_notify(3).
// Where there is no such manager it does nothing.
package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// What a daemon says.
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
	Alive    = "WATCHDOG=1"
)

// Manager is the service manager that started this program. The zero Manager is none.
type Manager struct {
	socket string        // a path, or "@" and an abstract name
	every  time.Duration // within which it must hear that the daemon is alive; 0: it does not listen
}

// FromEnvironment finds the manager as it left word, with os.LookupEnv or the like.
func FromEnvironment(lookup func(string) (string, bool)) (Manager, error) {
	var m Manager
	m.socket, _ = lookup("NOTIFY_SOCKET")
	if m.socket == "" {
		return Manager{}, nil
	}
	if m.socket[0] != '/' && m.socket[0] != '@' {
		return Manager{}, fmt.Errorf("NOTIFY_SOCKET %q is no Unix socket", m.socket)
	}
	usec, ok := lookup("WATCHDOG_USEC")
	if pid, given := lookup("WATCHDOG_PID"); !ok || given && pid != strconv.Itoa(os.Getpid()) {
		return m, nil
	}
	n, err := strconv.ParseInt(usec, 10, 64)
	if err != nil || n <= 0 {
		return Manager{}, fmt.Errorf("WATCHDOG_USEC %q is no number of microseconds", usec)
	}
	m.every = time.Duration(n) * time.Microsecond
	return m, nil
}

// Tell sends one of the words above.
func (m Manager) Tell(word string) (err error) {
	if m.socket == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: m.socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	_, err = c.Write([]byte(word))
	return err
}

// AliveEvery is how often Alive is to be told: twice as often as it must be. 0: never.
func (m Manager) AliveEvery() time.Duration { return m.every / 2 }
