// Package nginx: the driver of the reverse proxy that writes the configuration of an nginx which
// somebody else runs. All of it is one file in a folder of ours, tested by nginx before nginx
// reloads, and put back when nginx refuses it. Who may come in nginx asks core/proxy/gate.
package nginx

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/core/proxy/keeper"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/wholefile"
)

const (
	lookEvery  = 5 * time.Second
	runAtMost  = 30 * time.Second
	waitAtMost = 15 * time.Second                     // for workers that serve the new file
	slowness   = 5                                    // and so many times as long as nginx tested it: what it has beside ours may be much
	systemRoot = "/etc/ssl/certs/ca-certificates.crt" // Debian's, and OpenWrt's ca-bundle
)

// Config is what a driver is made of.
type Config struct {
	Settings     proxy.Settings
	Listen       []netip.AddrPort // core's own addresses
	Certificates proxy.Certificates
	Directory    string   // ours alone, included by nginx's own configuration
	Program      string   // of nginx
	File         string   // the configuration that nginx is started with; "": its own default
	Reload       []string // a command and its arguments; empty: Program's own
	Templates    bool     // services may have their own
	StateDir     string   // ours alone; certificates with their keys, and the last good file
	Socket       string   // of the gate
	Badges       string   // its folder of those; "": none
	Gate         keeper.Gate
	Look         time.Duration // how often certificates are looked at; 0: lookEvery
	Wait         time.Duration // for nginx to serve what it was given; 0: waitAtMost
	Logger       *slog.Logger
}

// Driver keeps the file.
type Driver struct {
	Config
	*keeper.Keeper

	taken bool // the file is what nginx runs, as far as we know
}

// New makes a driver, and its folders. It changes no file.
func New(c Config) (*Driver, error) {
	paths := []string{c.Directory, c.StateDir, c.Socket}
	if c.Badges != "" {
		paths = append(paths, c.Badges)
	}
	for _, path := range paths {
		if !filepath.IsAbs(path) || strings.ContainsFunc(path, unfit) {
			return nil, ownline.Invalid("proxy.nginx", fmt.Sprintf("%q must be an absolute path of A-Z a-z 0-9 / . _ -", path))
		}
	}
	// Headers that services are sent may be secrets. nginx reads its configuration as root.
	for _, dir := range []string{c.Directory, c.StateDir} {
		if err := errors.Join(os.MkdirAll(dir, 0o700), os.Chmod(dir, 0o700)); err != nil {
			return nil, err
		}
	}
	d := &Driver{Config: c}
	d.Keeper = keeper.New(keeper.Config{
		Gate: c.Gate, Put: d.put, Look: d.put, Each: cmp.Or(c.Look, lookEvery),
		Lost: "nginx did not take the new certificates", Logger: c.Logger,
	})
	return d, nil
}

func unfit(c rune) bool {
	return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("/._-", c))
}

func (d *Driver) file() string { return filepath.Join(d.Directory, "ownline.conf") }
func (d *Driver) good() string { return filepath.Join(d.StateDir, "good.conf") }

// put makes nginx serve exactly the services. After the start of core nginx reloads even if the
// file is the same: nobody knows whether the core before came to reloading.
func (d *Driver) put(ctx context.Context, services []link.Service, change keeper.Change) error {
	v, err := d.version(ctx)
	if err != nil {
		return err
	}
	want, err := d.render(services, v)
	if err != nil {
		return err
	}
	now, err := os.ReadFile(d.file())
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !bytes.HasPrefix(now, []byte(mark)):
		return ownline.Conflict("proxy.nginx.directory", d.file()+" is there and not of ours; remove it")
	case d.taken && string(now) == want.text: // another service may wait for its certificate
		if err := change(want.versions, func() error { return nil }); err != nil {
			return err
		}
		return d.settle(want)
	}
	want.gone = slices.DeleteFunc(hosts(string(now), d.Settings.Domain), func(h string) bool { return slices.Contains(want.hosts, h) })
	if err := wholefile.Write(d.file(), []byte(want.text), 0o600); err != nil {
		return err
	}
	if err := d.take(ctx, want, change); err != nil {
		return errors.Join(err, d.restore())
	}
	d.taken = true
	return d.settle(want)
}

// settle is what remains when nginx serves the file, and is tried again until it is done.
func (d *Driver) settle(now wanted) error {
	if good, err := os.ReadFile(d.good()); err != nil || string(good) != now.text {
		if err := wholefile.Write(d.good(), []byte(now.text), 0o600); err != nil {
			return err
		}
	}
	return d.clean(now.used)
}

// restore puts the last good file back. nginx still runs by it: it did not reload.
func (d *Driver) restore() error {
	good, err := os.ReadFile(d.good())
	if errors.Is(err, fs.ErrNotExist) {
		return os.Remove(d.file())
	}
	if err != nil {
		return err
	}
	return wholefile.Write(d.file(), good, 0o600)
}

// take has nginx test its whole configuration, then reload, and waits until it has.
func (d *Driver) take(ctx context.Context, want wanted, change keeper.Change) error {
	began := time.Now()
	out, err := d.run(ctx, d.Program, d.args("-T")...)
	took := time.Since(began)
	if err != nil {
		return err
	}
	if !strings.Contains(out, mark) {
		return ownline.Invalid("proxy.nginx.directory", fmt.Sprintf("nginx does not read it; put the line `include %s/*.conf;` into the http block of its configuration", d.Directory))
	}
	return change(want.versions, func() error {
		reload := d.Reload
		if len(reload) == 0 {
			reload = append([]string{d.Program}, d.args("-s", "reload")...)
		}
		if _, err := d.run(ctx, reload[0], reload[1:]...); err != nil {
			if noMaster.MatchString(err.Error()) {
				return proxy.NotRunning{Server: "nginx", Err: err}
			}
			return err
		}
		return d.serves(ctx, want, cmp.Or(d.Wait, waitAtMost)+slowness*took)
	})
}

// noMaster is what nginx, or the service manager, says when there is none to be told.
var noMaster = regexp.MustCompile(`open\(\) "[^"]*" failed \(2:|invalid PID number|kill\([^)]*\) failed \(3:|is not active`)

// args are nginx's, with the configuration that they are about.
func (d *Driver) args(more ...string) []string {
	if d.File == "" {
		return more
	}
	return append([]string{"-c", d.File}, more...)
}

// run returns what a program prints; its complaints are part of the error.
func (d *Driver) run(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, runAtMost)
	defer cancel()
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	cmd.WaitDelay = 5 * time.Second
	// A command that starts nginx anew may leave it with what we read; it has ended well.
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		words := strings.Join(strings.Fields(said.String()), " ")
		return "", fmt.Errorf("%s %s: %w: %.600s", name, strings.Join(args, " "), err, words)
	}
	return out.String() + said.String(), nil
}

// version is which nginx it is, and what it was built without.
type version struct {
	number  [3]int
	noHTTP2 bool
}

func (v version) less(a, b, c int) bool { return slices.Compare(v.number[:], []int{a, b, c}) < 0 }

// speaksHTTP2On reports whether HTTP/2 is a directive of its own; before, it is a word of listen.
func (v version) speaksHTTP2On() bool { return !v.less(1, 25, 1) }

var versionText = regexp.MustCompile(`nginx version: [^/]+/(\d+)\.(\d+)\.(\d+)`)

func (d *Driver) version(ctx context.Context) (v version, err error) {
	out, err := d.run(ctx, d.Program, "-V")
	if err != nil {
		return v, err
	}
	m := versionText.FindStringSubmatch(out)
	if m == nil {
		return v, fmt.Errorf("%s -V does not tell a version", d.Program)
	}
	for i := range v.number {
		if v.number[i], err = strconv.Atoi(m[i+1]); err != nil {
			return v, err
		}
	}
	if v.less(1, 19, 4) {
		return v, fmt.Errorf("nginx %d.%d.%d can't refuse unknown names; 1.19.4 can", v.number[0], v.number[1], v.number[2])
	}
	if built := strings.Fields(out); slices.Contains(built, "arguments:") {
		if !slices.Contains(built, "--with-http_auth_request_module") {
			return v, errors.New("this nginx was built without auth_request, by which it asks who may come in; OpenWrt's package nginx-full has it")
		}
		v.noHTTP2 = !slices.Contains(built, "--with-http_v2_module")
	}
	return v, nil
}

// wanted is what nginx is to have.
type wanted struct {
	text     string                       // the file
	gone     []string                     // hosts that it serves no more, and the file before did
	digest   string                       // of it, which is in it
	hosts    []string                     // that it serves, those without a template of their own first
	used     map[string]bool              // names of the files in the state folder that it needs
	versions map[ownline.ServiceID]string // of every service, which is another one only when the service is
}

// render makes the file. A service whose certificate is not there yet is left out: its name is
// refused until it is.
func (d *Driver) render(services []link.Service, v version) (want wanted, err error) {
	want = wanted{used: map[string]bool{}, versions: map[ownline.ServiceID]string{}}
	for _, s := range services {
		block, err := d.block(s, "/p", "/c", "v", v) // before anything is written
		if err != nil {
			return wanted{}, fmt.Errorf("service %.70q: %w", s.Name, err)
		}
		want.versions[s.ID] = digest(block + s.Options.CA)
	}
	var b strings.Builder
	b.WriteString(d.frame(v))
	for _, s := range services {
		host := d.Settings.Host(s.Name)
		chain, key, err := proxy.Pair(d.Certificates, host)
		if err != nil {
			d.Logger.Debug("a service waits for its certificate", "service", s.Name, logging.Err, err)
			continue
		}
		at, err := d.keep(append(chain, key...), want.used)
		if err != nil {
			return wanted{}, err
		}
		ca := systemRoot
		if s.Options.CA != "" {
			if ca, err = d.keep([]byte(s.Options.CA), want.used); err != nil {
				return wanted{}, err
			}
		}
		block, err := d.block(s, at, ca, want.versions[s.ID], v)
		if err != nil {
			return wanted{}, fmt.Errorf("service %.70q: %w", s.Name, err)
		}
		b.WriteString(block)
		if s.Options.Template == "" {
			want.hosts = append([]string{host}, want.hosts...)
		} else {
			want.hosts = append(want.hosts, host)
		}
	}
	want.digest = digest(b.String())
	want.text = strings.ReplaceAll(b.String(), digestMark, want.digest)
	return want, nil
}

// keep writes a file of the state folder, which is named after what is in it: a file that
// nginx may be reading never changes.
func (d *Driver) keep(content []byte, used map[string]bool) (string, error) {
	sum := sha256.Sum256(content)
	name := hex.EncodeToString(sum[:16]) + ".pem"
	used[name] = true
	path := filepath.Join(d.StateDir, name)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return path, nil
	}
	return path, wholefile.Write(path, content, 0o600)
}

// clean removes what is needed no more.
func (d *Driver) clean(used map[string]bool) error {
	entries, err := os.ReadDir(d.StateDir)
	for _, e := range entries {
		if ownName.MatchString(e.Name()) && !used[e.Name()] {
			err = errors.Join(err, os.Remove(filepath.Join(d.StateDir, e.Name())))
		}
	}
	return err
}

var ownName = regexp.MustCompile(`^[0-9a-f]{32}\.pem$`)
