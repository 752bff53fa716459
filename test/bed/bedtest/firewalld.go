package bedtest

import (
	"os"
	"testing"

	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/firewalls"
)

// Firewalld is one on a host whose errors end the test.
type Firewalld struct {
	*firewalls.Firewalld
	tb testing.TB
}

// NewFirewalld makes a bus, without anybody on it.
func NewFirewalld(tb testing.TB, h *bed.Host) *Firewalld {
	tb.Helper()
	f, err := firewalls.NewFirewalld(h)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := f.Close(); err != nil {
			tb.Error(err)
		}
		if tb.Failed() {
			tb.Logf("firewalld said:\n%s", f.Log())
		}
	})
	return &Firewalld{f, tb}
}

func (f *Firewalld) must(err error) {
	f.tb.Helper()
	if err != nil {
		f.tb.Fatal(err)
	}
}

// Start starts the daemon and returns when it answers.
func (f *Firewalld) Start() {
	f.tb.Helper()
	f.must(f.Firewalld.Start())
}

// Stop stops the daemon as its unit does; it takes its rules away.
func (f *Firewalld) Stop() {
	f.tb.Helper()
	f.must(f.Firewalld.Stop())
}

// Signal sends the daemon a signal.
func (f *Firewalld) Signal(s os.Signal) {
	f.tb.Helper()
	f.must(f.Firewalld.Signal(s))
}

// Told has firewall-cmd say what words say; it may fail. A word may be in quotes: '.
func (f *Firewalld) Told(words string) (string, error) { return f.Firewalld.Tell(words) }

// Tell is Told that may not.
func (f *Firewalld) Tell(words string) string {
	f.tb.Helper()
	out, err := f.Told(words)
	if err != nil {
		f.tb.Fatalf("firewall-cmd %s: %v: %s", words, err, out)
	}
	return out
}

// Permanent are the files that the daemon reads and writes, as text.
func (f *Firewalld) Permanent() string {
	f.tb.Helper()
	all, err := f.Firewalld.Permanent()
	f.must(err)
	return all
}
