package firewalld

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// The names are those of firewalld.dbus(5).
const (
	service       = "org.fedoraproject.FirewallD1"
	servicePath   = "/org/fedoraproject/FirewallD1"
	policyMethods = service + ".policy."
	zoneMethods   = service + ".zone."
	config        = service + ".config"
	configPath    = servicePath + "/config"

	policy = "ownline"
)

// nobody is an interface that no host has. See bus.dispatch.
const nobody = policy + "0"

// priority is before those of others: the first to translate wins, and a session is asked for by name.
const priority = -10000

// patience is how long firewalld may take for an answer, and a bit more for each rule that it has to look through:
// on a busy machine with a thousand rules, to add a few takes it many seconds.
const patience, patienceARule = 10 * time.Second, 20 * time.Millisecond

var (
	errNotRunning = errors.New("firewalld does not run")
	errNoPolicy   = errors.New("firewalld does not know the policy " + policy)
)

// bus is a connection to firewalld.
type bus struct {
	address string
	wait    time.Duration // for an answer
	conn    *dbus.Conn
	signals chan *dbus.Signal
}

// connect makes sure that there is a connection, and reports whether it is a new one.
func (b *bus) connect() (anew bool, err error) {
	if b.conn != nil && b.conn.Connected() {
		return false, nil
	}
	b.close()
	dial := func() (*dbus.Conn, error) { return dbus.ConnectSystemBus() }
	if b.address != "" {
		dial = func() (*dbus.Conn, error) { return dbus.Connect(b.address) }
	}
	if b.conn, err = dial(); err != nil {
		b.conn = nil
		return true, fmt.Errorf("the message bus: %w", err)
	}
	b.signals = make(chan *dbus.Signal, 16)
	b.conn.Signal(b.signals)
	err = errors.Join(
		b.conn.AddMatchSignal(dbus.WithMatchInterface(service), dbus.WithMatchMember("Reloaded")),
		b.conn.AddMatchSignal(dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, service)),
	)
	if err != nil {
		b.close()
	}
	return true, err
}

func (b *bus) close() {
	if b.conn != nil {
		_ = b.conn.Close() // nothing is lost with it
		b.conn = nil
	}
}

// told reports whether firewalld was reloaded, started or stopped since the last call, as far as is known.
func (b *bus) told() (something bool) {
	if b.conn == nil || !b.conn.Connected() {
		return true
	}
	for {
		select {
		case <-b.signals:
			something = true
		default:
			return something
		}
	}
}

// call asks firewalld. It is never started by that.
func (b *bus) call(ctx context.Context, path dbus.ObjectPath, method string, args []any, into ...any) error {
	return b.callFor(ctx, cmp.Or(b.wait, patience), path, method, args, into...)
}

func (b *bus) callFor(ctx context.Context, wait time.Duration, path dbus.ObjectPath, method string, args []any, into ...any) error {
	if _, err := b.connect(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	call := b.conn.Object(service, path).CallWithContext(ctx, method, dbus.FlagNoAutoStart, args...)
	var said dbus.Error
	if errors.As(call.Err, &said) {
		switch {
		case strings.HasSuffix(said.Name, ".ServiceUnknown"), strings.HasSuffix(said.Name, ".NameHasNoOwner"):
			return errNotRunning
		case strings.HasPrefix(said.Error(), "INVALID_POLICY"):
			return errNoPolicy
		}
	}
	if call.Err != nil {
		return fmt.Errorf("firewalld, %s: %w", method[strings.LastIndexByte(method, '.')+1:], call.Err)
	}
	return call.Store(into...)
}

// runs reports whether firewalld is there.
func (b *bus) runs(ctx context.Context) (owned bool, err error) {
	if _, err := b.connect(); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(b.wait, patience))
	defer cancel()
	err = b.conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.NameHasOwner", 0, service).Store(&owned)
	return owned, err
}

// settings is the policy in force: whether it applies to anything, and its rules.
func (b *bus) settings(ctx context.Context) (applies bool, h held, err error) {
	var all map[string]dbus.Variant
	if err := b.call(ctx, servicePath, policyMethods+"getPolicySettings", []any{policy}, &all); err != nil {
		return false, h, err
	}
	ingress, _ := all["ingress_zones"].Value().([]string) // what is empty is left out
	rules, _ := all["rich_rules"].Value().([]string)
	return len(ingress) > 0, hold(rules), nil
}

func (b *bus) set(ctx context.Context, settings map[string]dbus.Variant, rules int) error {
	wait := cmp.Or(b.wait, patience+time.Duration(rules)*patienceARule)
	return b.callFor(ctx, wait, servicePath, policyMethods+"setPolicySettings", []any{policy, settings})
}

// apply has the policy apply to what goes from and to zones.
func (b *bus) apply(ctx context.Context, zones []string) error {
	return b.set(ctx, map[string]dbus.Variant{"ingress_zones": dbus.MakeVariant(zones), "egress_zones": dbus.MakeVariant(zones)}, 0)
}

// write has the policy hold what is wanted.
func (b *bus) write(ctx context.Context, have held, want map[entry]bool) error {
	for _, rules := range have.steps(want, atOnce) {
		if err := b.set(ctx, map[string]dbus.Variant{"rich_rules": dbus.MakeVariant(rules)}, len(rules)); err != nil {
			return err
		}
	}
	return nil
}

// dispatch makes sure that firewalld asks the policy at all. From 2.0 on it does not where no interface is named in
// a zone, but all are in the default one unnamed. To name there one that does not exist will do.
func (b *bus) dispatch(ctx context.Context) error {
	var active map[string]map[string][]string
	if err := b.call(ctx, servicePath, zoneMethods+"getActiveZones", nil, &active); err != nil {
		return err
	}
	for _, z := range active {
		if len(z["interfaces"]) > 0 {
			return nil
		}
	}
	return b.call(ctx, servicePath, zoneMethods+"addInterface", []any{"", nobody}, new(string))
}

// undispatch undoes what dispatch has done.
func (b *bus) undispatch(ctx context.Context) error {
	var zone string
	err := b.call(ctx, servicePath, zoneMethods+"getZoneOfInterface", []any{nobody}, &zone)
	if err != nil || zone == "" {
		return err
	}
	return b.call(ctx, servicePath, zoneMethods+"removeInterface", []any{zone, nobody}, &zone)
}

// permanent finds the policy in the permanent configuration.
func (b *bus) permanent(ctx context.Context) (path dbus.ObjectPath, err error) {
	err = b.call(ctx, configPath, config+".getPolicyByName", []any{policy}, &path)
	return path, err
}

// add makes the policy in the permanent configuration, unless it is there.
func (b *bus) add(ctx context.Context) error {
	if _, err := b.permanent(ctx); !errors.Is(err, errNoPolicy) {
		return err
	}
	var path dbus.ObjectPath
	return b.call(ctx, configPath, config+".addPolicy", []any{policy, map[string]dbus.Variant{
		"short":         dbus.MakeVariant("Ownline"),
		"description":   dbus.MakeVariant("Sessions of Ownline. They are in the runtime configuration, and kept by ownline-core."),
		"target":        dbus.MakeVariant("CONTINUE"),
		"priority":      dbus.MakeVariant(int32(priority)),
		"ingress_zones": dbus.MakeVariant([]string{"ANY"}),
		"egress_zones":  dbus.MakeVariant([]string{"ANY"}),
	}}, &path)
}

// reload makes the permanent configuration the one in force.
func (b *bus) reload(ctx context.Context) error {
	if err := b.call(ctx, servicePath, service+".reload", nil); err != nil {
		return err
	}
	b.told() // of what we did
	return nil
}

// says is what firewalld.conf says; "": nothing that this firewalld knows.
func (b *bus) says(ctx context.Context, setting string) string {
	return b.property(ctx, configPath, config, setting)
}

func (b *bus) property(ctx context.Context, path dbus.ObjectPath, of, name string) string {
	var value dbus.Variant
	if b.call(ctx, path, "org.freedesktop.DBus.Properties.Get", []any{of, name}, &value) != nil {
		return ""
	}
	word, _ := value.Value().(string)
	return word
}

// forget takes the policy out of the permanent configuration, with the copy that firewalld keeps of what is removed.
func (b *bus) forget(ctx context.Context, path dbus.ObjectPath) error {
	folder := b.property(ctx, path, config+".policy", "path")
	err := b.call(ctx, path, config+".policy.remove", nil)
	if err == nil && folder != "" {
		_ = os.Remove(filepath.Join(folder, policy+".xml.old")) // where it can't be, it does nothing there
	}
	return err
}
