// Package install makes the agent start by itself: as a unit of systemd's, a launchd agent or a Windows
// service, and lets it run as one.
package install

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/kardianos/service"
)

const (
	name    = "ownline-agent"
	title   = "Ownline agent"
	systemd = "linux-systemd"
)

// Options say what is to be started.
type Options struct {
	Program   string   // absolute
	Arguments []string // to run the agent
	Dir       string   // what the agent keeps things in, and alone writes to
	System    bool     // a service of the whole machine, not of the user
}

// Result is what was done.
type Result struct {
	File   string   `json:"file,omitempty"`   // that describes the service to the system
	Before bool     `json:"before"`           // it was there before
	Done   bool     `json:"done"`             // the system knows of it; else it has to be told by:
	Run    []string `json:"run,omitempty"`    // commands
	Reason string   `json:"reason,omitempty"` // why the system could not be told
}

// OnlySystem reports whether this system has services of the whole machine alone.
func OnlySystem() bool { return runtime.GOOS == "windows" || runtime.GOOS == "freebsd" }

// Install makes the service, or makes it anew, and starts it.
func Install(o Options) (Result, error) {
	s, err := find(o)
	if err != nil {
		return Result{}, err
	}
	r := Result{File: s.file}
	var old []byte
	if s.file != "" {
		if old, err = os.ReadFile(s.file); err == nil {
			r.Before = true
			if err := os.Remove(s.file); err != nil { // the library writes over nothing
				return r, err
			}
		}
	} else if _, err := s.Status(); err == nil {
		r.Before = true
		_ = s.Stop() // it may not run
		if err := s.Uninstall(); err != nil {
			return r, err
		}
	}
	if r.Before && runtime.GOOS == "darwin" {
		_ = exec.Command("launchctl", "remove", name).Run() // of the file that was there
	}
	err = s.Install()
	if err == nil {
		err = s.start()
	}
	switch {
	case err == nil:
		r.Done = true
		return r, nil
	case s.file != "" && written(s.file):
		r.Reason, r.Run = s.reason(err, o.System), s.byHand(o.System)
		return r, nil
	}
	if r.Before && s.file != "" {
		err = errors.Join(err, os.WriteFile(s.file, old, 0o644))
	}
	return r, err
}

// Uninstall stops the service and removes it. That there is none is no error.
func Uninstall(o Options) (Result, error) {
	s, err := find(o)
	if err != nil {
		return Result{}, err
	}
	r := Result{File: s.file}
	if s.file == "" {
		if _, err := s.Status(); errors.Is(err, service.ErrNotInstalled) {
			return r, nil
		}
		r.Before = true
		_ = s.Stop() // it may not run
		err := s.Uninstall()
		r.Done = err == nil
		return r, err
	}
	if !written(s.file) {
		return r, nil
	}
	r.Before = true
	stopped := s.Stop()
	err = s.Uninstall()
	switch {
	case !written(s.file):
		r.Done = err == nil
	case err != nil:
		if err := os.Remove(s.file); err != nil {
			return r, err
		}
		for _, link := range s.enabled() {
			if err := os.Remove(link); err != nil {
				return r, err
			}
		}
	}
	if !r.Done {
		r.Reason = s.reason(cmp.Or(stopped, err), o.System)
		r.Run = s.forget(o.System)
	}
	return r, nil
}

func written(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Size() > 0
}

// found is the service of this system.
type found struct {
	service.Service
	file string // "": the system keeps it elsewhere
}

func find(o Options) (found, error) {
	if OnlySystem() && !o.System {
		return found{}, errors.New("services of a user's own are not known on this system; use --system, as an administrator")
	}
	options := service.KeyValue{
		"UserService": !o.System, "RunAtLoad": true, "KeepAlive": true,
		"OnFailure": "restart", "OnFailureDelayDuration": "30s", "DelayedAutoStart": true,
	}
	config := &service.Config{Name: name, DisplayName: title, Description: "Keeps what is yours open, wherever this machine is", Executable: o.Program, Arguments: o.Arguments, Option: options}
	home, err := os.UserHomeDir()
	if err != nil && !o.System {
		return found{}, err
	}
	file := ""
	system := service.ChosenSystem()
	switch runtime.GOOS {
	case "linux", "android":
		if system, file, err = findSystemd(o, home); err != nil {
			return found{}, err
		}
		if options["SystemdScript"], err = unit(o); err != nil {
			return found{}, err
		}
	case "darwin":
		file = filepath.Join("/Library/LaunchDaemons", name+".plist")
		if !o.System {
			file = filepath.Join(home, "Library/LaunchAgents", name+".plist")
			options["LogDirectory"] = filepath.Join(home, "Library/Logs")
		}
	case "freebsd":
		file = filepath.Join("/usr/local/etc/rc.d", name)
	}
	s, err := system.New(nothing{}, config)
	return found{s, file}, err
}

func findSystemd(o Options, home string) (service.System, string, error) {
	if _, err := exec.LookPath("systemctl"); err != nil {
		return nil, "", errors.New("there is no systemd here to start the agent; have `ownline agent run` started by what starts programs on this machine")
	}
	file := filepath.Join("/etc/systemd/system", name+".service")
	if !o.System {
		file = filepath.Join(home, ".config/systemd/user", name+".service")
	}
	for _, s := range service.AvailableSystems() {
		if s.String() == systemd {
			return s, file, nil
		}
	}
	return nil, "", fmt.Errorf("the library does not know %s", systemd)
}

// start starts it, or starts it anew.
func (f found) start() error {
	if f.Platform() == systemd {
		return f.Restart()
	}
	return f.Start()
}

// reason is why the system could not be told. The library keeps what systemctl said to itself.
func (f found) reason(err error, machine bool) string {
	if f.Platform() != systemd {
		return err.Error()
	}
	ask := []string{"daemon-reload"}
	if !machine {
		ask = append(ask, "--user")
	}
	if said, err := exec.Command("systemctl", ask...).CombinedOutput(); err != nil && len(said) > 0 {
		first, _, _ := strings.Cut(string(said), "\n")
		return first
	}
	return err.Error()
}

// enabled are the links by which systemd starts it.
func (f found) enabled() []string {
	links, _ := filepath.Glob(filepath.Join(filepath.Dir(f.file), "*.target.wants", filepath.Base(f.file)))
	return links
}

// byHand is what makes the system know of the service when it can't be told now.
func (f found) byHand(machine bool) []string {
	switch {
	case f.Platform() != systemd:
		return []string{"launchctl load " + f.file}
	case machine:
		return []string{"systemctl daemon-reload", "systemctl enable --now " + name}
	}
	return []string{"systemctl --user daemon-reload", "systemctl --user enable --now " + name}
}

// forget is what makes it forget the service, whose file and links are gone.
// An agent that still runs is the caller's to tell of, see StopByHand.
func (f found) forget(machine bool) []string {
	switch {
	case f.Platform() != systemd:
		return []string{"launchctl remove " + name}
	case machine:
		return []string{"systemctl daemon-reload"}
	}
	return []string{"systemctl --user daemon-reload"}
}

// StopByHand is what stops the service when its file is gone.
func StopByHand(machine bool) string {
	switch {
	case runtime.GOOS == "darwin":
		return "launchctl remove " + name
	case machine:
		return "systemctl stop " + name
	}
	return "systemctl --user stop " + name
}

// nothing is a service that is described, and not run.
type nothing struct{}

// Start does nothing.
func (nothing) Start(service.Service) error { return nil }

// Stop does nothing.
func (nothing) Stop(service.Service) error { return nil }
