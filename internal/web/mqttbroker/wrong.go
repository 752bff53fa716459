package mqttbroker

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/logging"
)

// How wrong logins are slowed. The passwords of devices can't be guessed, so a right one is never
// made to wait, whatever others behind the same address have tried: nobody can shut somebody else out.
// The wait is for who keeps trying: a stranger, or a device with a profile of long ago.
const (
	freeLogins   = 5 // wrong ones that are answered at once
	firstPause   = time.Second
	longestPause = 8 * time.Second // less than helloTimeout
	forgiveAfter = time.Hour       // without a wrong one
	mostSources  = 4096            // that are remembered
	tellOfLogins = 10 * time.Minute
)

// Logins are the wrong ones since the start.
type Logins struct {
	Refused uint64
	Last    time.Time
	From    string // the address of the last
}

// wrongs remembers wrong logins. The broker's mu guards it.
type wrongs struct {
	Logins
	sources map[netip.Prefix]*tries
	told    time.Time // when the log was last told,
	untold  uint64    // and how many there were since
}

type tries struct {
	count int
	last  time.Time
}

// pause counts a wrong login and returns how long its answer has to wait.
func (w *wrongs) pause(from netip.Prefix, now time.Time) time.Duration {
	s := w.sources[from]
	if s == nil {
		if len(w.sources) >= mostSources {
			for k, old := range w.sources {
				if now.Sub(old.last) > forgiveAfter {
					delete(w.sources, k)
				}
			}
		}
		if len(w.sources) >= mostSources {
			return firstPause // whoever fills the memory is not told apart any more
		}
		if w.sources == nil {
			w.sources = make(map[netip.Prefix]*tries)
		}
		s = new(tries)
		w.sources[from] = s
	}
	if now.Sub(s.last) > forgiveAfter {
		s.count = 0
	}
	s.count, s.last = s.count+1, now
	over := s.count - freeLogins
	if over <= 0 {
		return 0
	}
	return min(firstPause<<min(over-1, 10), longestPause)
}

// turnAway counts a wrong login, tells of it now and then, and makes its client wait for the answer.
func (b *Broker) turnAway(l *line, name string) {
	source, now := l.tcp.RemoteAddr().String(), time.Now()
	if ap, err := netip.ParseAddrPort(source); err == nil {
		source = ap.Addr().Unmap().String()
	}
	b.mu.Lock()
	b.refused[login]++
	w := &b.wrongs
	w.Refused, w.Last, w.From = w.Refused+1, now, source
	w.untold++
	pause := w.pause(l.from, now)
	if b.people[name] == nil {
		name = "" // what strangers make up is not for the log
	}
	count := w.untold
	if tell := w.told.IsZero() || now.Sub(w.told) >= tellOfLogins; tell {
		w.told, w.untold = now, 0
	} else {
		count = 0
	}
	b.mu.Unlock()
	if count > 0 {
		b.o.Log.Warn("wrong name or password at the embedded broker", logging.Source, source, "client", name, "count", count)
	}
	if pause == 0 {
		return
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.tcp.gone:
	}
}

// ending is a connection that tells those who wait when we have closed it.
type ending struct {
	net.Conn
	once sync.Once
	gone chan struct{}
}

func newEnding(c net.Conn) *ending { return &ending{Conn: c, gone: make(chan struct{})} }

// Close closes the connection.
func (e *ending) Close() error {
	e.once.Do(func() { close(e.gone) })
	return e.Conn.Close()
}
