// Package doctor looks for what keeps a router from doing its work: in the kernel's settings, the host's
// own rules, files, and what the daemon says of itself. It says in plain words what is wrong and the
// commands that mend it, and mends itself what can harm nothing. It works without the daemon, too.
package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/hostinfo"
	"github.com/ownline/ownline/internal/core/firewall/hostrules"
	"github.com/ownline/ownline/internal/core/session"
	"github.com/ownline/ownline/internal/link"
)

// Level is how bad a finding is.
type Level string

// The levels.
const (
	Good    Level = "ok"
	Warning Level = "warning" // works now, or may work
	Problem Level = "problem" // keeps somebody out
)

// Finding is what a check has to say.
type Finding struct {
	Check string   `json:"check"` // which one: a name that stays
	Level Level    `json:"level"`
	Text  string   `json:"text"`
	Fix   []string `json:"fix,omitempty"`   // commands for root, in this order
	Hint  string   `json:"hint,omitempty"`  // what to do besides, or instead
	Mends bool     `json:"mends,omitempty"` // Mend does what Fix says

	mend func() error
	by   string // the interface that it is so by, if it may not be so by others
}

// Mend does what Fix says, if Mends.
func (f *Finding) Mend() error { return f.mend() }

// Daemon is a core that may run; an error says that none answers.
type Daemon interface {
	Status(context.Context) (link.Status, error)
	Sessions(context.Context) ([]session.Session, error)
	// Settings are those that it runs with: see config.Core.Each.
	Settings(context.Context) (map[string]string, error)
	// Knocked reports whether a device of ours knocked from there lately.
	Knocked(context.Context, netip.Addr) bool
}

// Rules are the host's own.
type Rules interface {
	Obstacles(*hostrules.Packet) []hostrules.Obstacle
	Unseen() []*firewall.Chain
	Rewrites(*hostrules.Packet) *firewall.Chain
	Close() error
}

// Router is what is looked at.
type Router struct {
	Config *config.Core
	File   string // of the settings
	Lacks  error  // what the machine lacks of them
	Daemon Daemon
	Driver func(context.Context) error          // whether the firewall's driver works here; asked without a daemon
	Rules  func(context.Context) (Rules, error) // an error with rules says which were not read
	// Route tells by which interface a packet leaves that comes by one, or with "" is the router's; an error, that it
	// does not.
	Route   func(in string, from, to netip.Addr) (out string, err error)
	Reach   Reach
	Ports   []firewall.Port // that core needs, and that of a proxy of its own
	Host    hostinfo.Host
	Uplinks []hostinfo.Uplink
	UFW     bool        // its rules are in force
	Synced  func() bool // whether the kernel's clock is
	Root    string      // of the file system
	Probe
}

// looking is a look at a router.
type looking struct {
	*Router
	runs     bool // the daemon does; then status is its own
	status   link.Status
	sessions []session.Session
	way      *Way // that alone is looked at; nil: everything
	found    []Finding
}

// Look makes every check, one after the other, and returns what each has to say.
func (r *Router) Look(ctx context.Context) []Finding {
	l := &looking{Router: r}
	var err error
	l.status, err = r.Daemon.Status(ctx)
	if l.runs = err == nil; l.runs {
		l.sessions, _ = r.Daemon.Sessions(ctx) // it has just answered
	}
	if r.Lacks != nil {
		l.say(&lacks, r.Lacks, r.File)
	}
	l.daemon(err)
	l.settings(ctx)
	l.firewall(ctx)
	if l.Host.Misnamed {
		l.say(&misnamed, strings.Join(l.Config.Firewall.WANInterfaces, ", "), l.File)
	}
	if len(l.Uplinks) == 0 && len(l.Config.Firewall.WANInterfaces) > 0 { // else it is told where it is in the way
		l.say(&noRoute)
	}
	l.forwarding()
	l.paths()
	l.rules(ctx)
	l.probe(ctx)
	l.ports()
	l.masquerade()
	l.routes()
	l.targets(ctx)
	l.address(ctx)
	l.clock()
	l.certificate()
	l.modes()
	return l.found
}

// say adds a finding. Words have numbered verbs for the arguments.
func (l *looking) say(w *words, args ...any) *Finding {
	l.found = append(l.found, Finding{})
	f := &l.found[len(l.found)-1]
	f.Check, f.Level, f.Text, f.Hint = w.check, w.level, fill(w.text, args), fill(w.hint, args)
	if fix := fill(w.fix, args); fix != "" {
		f.Fix = strings.Split(fix, "\n")
	}
	return f
}

func fill(format string, args []any) string {
	if !strings.Contains(format, "%[") {
		return format
	}
	return fmt.Sprintf(format, args...)
}

func (l *looking) exists(path string) bool {
	_, err := os.Stat(filepath.Join(l.Root, path))
	return err == nil
}

// Problems counts the findings that keep somebody out.
func Problems(all []Finding) (n int) {
	for i := range all {
		if all[i].Level == Problem {
			n++
		}
	}
	return n
}
