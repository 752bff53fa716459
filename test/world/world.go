// Package world: Ownline as people run it, on a bed. ownline-core runs on the bed's router
// and ownline-web in its LAN, as processes, paired and with an admin; clients knock from
// the bed's internet. The end-to-end tests, the benchmarks and "ownline demo" share it.
package world

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ownline/ownline/test/bed"
)

// What every world has.
const (
	KnockPort uint16 = 54754
	webPort   uint16 = 8080
	linkPort  uint16 = 57329

	AdminName     = "admin"
	AdminPassword = "correct horse battery"
)

// Options say how a world differs from the usual one.
type Options struct {
	Programs Programs
	Dir      string // for configuration and state; "": a new one, removed by Close
	Bed      []bed.Option
	CoreYAML string // more lines for core.yaml
	WebYAML  string // more lines for web.yaml
	// Place is where this world differs; nil: core is on the bed's router, web in its LAN.
	Place func(*bed.Bed) (Place, error)
	// Dial has core dial web, as behind a NAT, instead of web core.
	Dial bool
	// PairFile has both ends pair with no hands.
	PairFile bool
	// Quiet has both log errors alone, instead of everything.
	Quiet bool
}

// Place is a world of another layout. Its files say all that a world does not have to know: state_dir,
// control_socket and log are added.
type Place struct {
	Core, Web         *bed.Host
	CoreFile, WebFile string // core.yaml and web.yaml
	WebAt             netip.AddrPort
	Name, Host        string                              // of the site that is paired with
	PairFile          bool                                // both files name one, so that nobody has to pair them
	Pair              func(context.Context, *World) error // nil: by the API
}

// World is running Ownline.
type World struct {
	Bed     *bed.Bed
	Servers *bed.Servers
	Core    *Daemon
	Web     *Daemon
	API     *API // as admin, from the LAN
	Site    string

	programs Programs
	place    Place
	dir      string
	ownDir   bool
	others   []*Daemon // of StartOn
}

// New builds the bed, starts both daemons, pairs them and signs an admin in.
func New(ctx context.Context, o Options) (_ *World, err error) {
	w := &World{programs: o.Programs, dir: o.Dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	if w.dir == "" {
		if w.dir, err = tempDir(); err != nil {
			return nil, err
		}
		w.ownDir = true
	}
	if w.Bed, err = bed.New(ctx, o.Bed...); err != nil {
		return nil, err
	}
	if w.Servers, err = w.Bed.StartServers(); err != nil {
		return nil, err
	}
	w.place = Place{
		Core: w.Bed.Router, Web: w.Bed.Lan, WebAt: netip.AddrPortFrom(w.Bed.Lan.IPv4, webPort),
		Name: "home", Host: w.Bed.Router.IPv4.String(), PairFile: o.PairFile,
	}
	if o.Place == nil {
		w.place.CoreFile, w.place.WebFile = w.files(o)
	} else if w.place, err = o.Place(w.Bed); err != nil {
		return nil, err
	}
	if err := w.configure(o); err != nil {
		return nil, err
	}
	if err := w.startWeb(ctx); err != nil {
		return nil, err
	}
	if err := w.startCore(ctx); err != nil {
		return nil, err
	}
	if !w.place.PairFile {
		pair := (*World).pair
		if w.place.Pair != nil {
			pair = func(w *World, ctx context.Context) error { return w.place.Pair(ctx, w) }
		}
		if err := pair(w, ctx); err != nil {
			return nil, err
		}
	}
	return w, w.WaitConnected(ctx)
}

// tempDir prefers memory: a disk's speed is no part of most tests.
func tempDir() (string, error) {
	if dir, err := os.MkdirTemp("/dev/shm", "ownline-world-"); err == nil {
		return dir, nil
	}
	return os.MkdirTemp("", "ownline-world-")
}

func (w *World) path(name string) string { return filepath.Join(w.dir, name) }

// Path names a file in the world's folder; core's state is in "core", web's in "web".
func (w *World) Path(name string) string { return w.path(name) }

func (w *World) lanRouter() netip.Addr { return w.Bed.Router.IPv4s[1] }

// configure writes both files.
func (w *World) configure(o Options) error {
	level := "debug"
	if o.Quiet {
		level = "error"
	}
	core := fmt.Sprintf("state_dir: %q\ncontrol_socket: %q\nlog: {level: %s}\n%s", w.path("core"), w.path("core.sock"), level, w.place.CoreFile)
	if err := os.WriteFile(w.path("core.yaml"), []byte(core), 0o600); err != nil {
		return err
	}
	web := fmt.Sprintf("state_dir: %q\nlog: {level: %s}\n%s", w.path("web"), level, w.place.WebFile)
	return os.WriteFile(w.path("web.yaml"), []byte(web), 0o600)
}

// files are those of the usual world.
func (w *World) files(o Options) (core, web string) {
	core = fmt.Sprintf("link: {listen: %q}\n", netip.AddrPortFrom(w.lanRouter(), linkPort))
	web = fmt.Sprintf("listen: %q\n", w.place.WebAt)
	if o.Dial {
		at := netip.AddrPortFrom(w.Bed.Lan.IPv4, linkPort)
		core = fmt.Sprintf("link: {listen: \"\", dial: %q}\n", at)
		web += fmt.Sprintf("link: {listen: %q}\n", at)
	}
	if o.PairFile {
		line := fmt.Sprintf("pair_file: %q\n", w.path("pair"))
		core, web = core+line, web+line
	}
	if !strings.Contains(o.CoreYAML, "firewall:") {
		core += fmt.Sprintf("firewall: {wan_interfaces: [%s]}\n", w.Bed.Router.Link)
	}
	return core + o.CoreYAML, web + o.WebYAML
}

// startWeb makes the admin, starts ownline-web and signs in.
func (w *World) startWeb(ctx context.Context) error {
	if _, err := w.WebCommand(ctx, AdminPassword+"\n", "user", "add", "--admin", AdminName); err != nil {
		return err
	}
	w.Web = newDaemon(w.place.Web, w.path("web.log"), w.programs.Web, "serve", "--config", w.path("web.yaml"))
	if err := w.Web.Start(ctx); err != nil {
		return err
	}
	w.API = NewAPI(w.place.Web, w.WebAddr())
	return w.Web.Until(ctx, "answer", func(ctx context.Context) error {
		return w.API.Login(ctx, AdminName, AdminPassword)
	})
}

func (w *World) startCore(ctx context.Context) error {
	w.Core = newDaemon(w.place.Core, w.path("core.log"), w.programs.Core, "run", "--config", w.path("core.yaml"))
	if err := w.Core.Start(ctx); err != nil {
		return err
	}
	return w.Core.Until(ctx, "answer", func(ctx context.Context) error {
		_, err := w.CoreCommand(ctx, "status", "--json")
		return err
	})
}

// StartOnRouter starts another program beside core. It ends with the world.
func (w *World) StartOnRouter(ctx context.Context, name string, args ...string) (*Daemon, error) {
	return w.StartOn(ctx, w.place.Core, filepath.Base(name), name, args...)
}

// StartOn starts another program on a host; what it logs is in the file LOG.log of the world's folder.
// It ends with the world.
func (w *World) StartOn(ctx context.Context, h *bed.Host, log, name string, args ...string) (*Daemon, error) {
	d := newDaemon(h, w.path(log+".log"), append([]string{name}, args...)...)
	if err := d.Start(ctx); err != nil {
		return nil, err
	}
	w.others = append(w.others, d)
	return d, nil
}

// PairingCode asks core for one.
func (w *World) PairingCode(ctx context.Context) (string, error) {
	out, err := w.CoreCommand(ctx, "pair", "--json")
	if err != nil {
		return "", err
	}
	var code struct{ Code string }
	return code.Code, json.Unmarshal(out, &code)
}

func (w *World) pair(ctx context.Context) error {
	code, err := w.PairingCode(ctx)
	if err != nil {
		return err
	}
	return w.API.Call(ctx, "POST", "/sites", Map{"code": code, "name": w.place.Name, "host": w.place.Host}, nil)
}

// WaitConnected waits until both ends say that web commands core, and every other core, at most as long as
// Until does, and keeps the first site's id. Web alone may not have noticed yet that core was killed.
func (w *World) WaitConnected(ctx context.Context) error {
	return w.Web.Until(ctx, "be connected to core", func(ctx context.Context) error {
		var sites List[struct {
			ID        string
			Connected bool
		}]
		if err := w.API.Call(ctx, "GET", "/sites", nil, &sites); err != nil {
			return err
		}
		if len(sites.Items) == 0 {
			return errors.New("there is no site")
		}
		for _, s := range sites.Items {
			if !s.Connected {
				return fmt.Errorf("sites are %+v", sites.Items)
			}
			if w.Site == "" {
				w.Site = s.ID
			}
		}
		out, err := w.CoreCommand(ctx, "status", "--json")
		if err != nil {
			return err
		}
		var core struct{ Connected bool }
		if err := json.Unmarshal(out, &core); err != nil {
			return err
		}
		if !core.Connected {
			return errors.New("core says that nobody commands it")
		}
		return nil
	})
}

// WebAddr is where ownline-web listens.
func (w *World) WebAddr() netip.AddrPort { return w.place.WebAt }

// KnockAddr is where the router takes knocks, for clients of IPv4 or IPv6.
func (w *World) KnockAddr(v6 bool) netip.AddrPort {
	if v6 {
		return netip.AddrPortFrom(w.Bed.Router.IPv6, KnockPort)
	}
	return netip.AddrPortFrom(w.Bed.Router.IPv4, KnockPort)
}

// CoreHost is where core runs.
func (w *World) CoreHost() *bed.Host { return w.place.Core }

// CoreCommand runs ownline-core with arguments where it runs and returns what it prints.
func (w *World) CoreCommand(ctx context.Context, args ...string) ([]byte, error) {
	return RunOn(ctx, w.place.Core, "", w.programs.Core, append(args, "--config", w.path("core.yaml"))...)
}

// WebCommand runs ownline-web with arguments on the host of web and returns what it prints.
func (w *World) WebCommand(ctx context.Context, stdin string, args ...string) ([]byte, error) {
	return RunOn(ctx, w.place.Web, stdin, w.programs.Web, append(args, "--config", w.path("web.yaml"))...)
}

// Close ends everything.
func (w *World) Close() error {
	var errs []error
	for _, d := range append(w.others, w.Core, w.Web) {
		if d != nil {
			errs = append(errs, d.Stop(5*time.Second))
		}
	}
	if w.Bed != nil {
		errs = append(errs, w.Bed.Close())
	}
	if w.ownDir {
		errs = append(errs, os.RemoveAll(w.dir))
	}
	return errors.Join(errs...)
}

// CheckCoreSettings has ownline-core judge settings without running.
func (w *World) CheckCoreSettings(ctx context.Context, yaml string) ([]byte, error) {
	file := w.path("check.yaml")
	if err := os.WriteFile(file, []byte(yaml+"\n"), 0o600); err != nil {
		return nil, err
	}
	return RunOn(ctx, w.Bed.Router, "", w.programs.Core, "run", "--check", "--config", file)
}

// OtherWeb runs ownline-web with arguments for a web of its own, with nothing in common
// with the one that runs but the host.
func (w *World) OtherWeb(ctx context.Context, name string, args ...string) ([]byte, error) {
	file := w.path(name + ".yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "state_dir: %q\n", w.path(name)), 0o600); err != nil {
		return nil, err
	}
	return RunOn(ctx, w.Bed.Lan, "", w.programs.Web, append(args, "--config", file)...)
}
