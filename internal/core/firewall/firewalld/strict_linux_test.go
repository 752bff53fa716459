package firewalld_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"

	"github.com/ownline/ownline/internal/core/firewall/firewalld"
	"github.com/ownline/ownline/test/bed/bedtest"
)

// What firewalld refuses by StrictForwardPorts, which it has from 2.2 on, is told. Debian's may be older, so a
// pretended one says it.
func TestStrict(t *testing.T) {
	t.Parallel()
	b := bedtest.New(t)
	for said, want := range map[string]bool{"yes": true, "no": false, "": false} {
		t.Run(said, func(t *testing.T) {
			f := bedtest.NewFirewalld(t, b.Router)
			pretend(t, f.Bus, map[string]string{"FirewallBackend": "iptables", "StrictForwardPorts": said})
			d := newDriver(t, b.Router, firewalld.Config{Bus: f.Bus})
			if err := d.Lacks(); err != nil {
				t.Errorf("at first, Lacks = %v", err)
			}
			sync(t, d, ruleset(settings))
			if err := d.Lacks(); (err != nil && strings.Contains(err.Error(), "StrictForwardPorts")) != want {
				t.Errorf("Lacks = %v", err)
			}
		})
	}
}

// pretend is on the bus what a driver takes for a firewalld that has its policy, without sessions.
func pretend(t *testing.T, bus string, says map[string]string) {
	t.Helper()
	const name = "org.fedoraproject.FirewallD1"
	conn, err := dbus.Connect(bus)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	all := dbus.MakeVariant([]string{"ANY"})
	err = errors.Join(
		conn.ExportMethodTable(map[string]any{
			"getPolicies": func() ([]string, *dbus.Error) { return nil, nil },
			"getPolicySettings": func(string) (map[string]dbus.Variant, *dbus.Error) {
				return map[string]dbus.Variant{"ingress_zones": all, "egress_zones": all}, nil
			},
		}, "/org/fedoraproject/FirewallD1", name+".policy"),
		conn.ExportMethodTable(map[string]any{
			"getActiveZones": func() (map[string]map[string][]string, *dbus.Error) {
				return map[string]map[string][]string{"public": {"interfaces": {"wan0"}}}, nil
			},
		}, "/org/fedoraproject/FirewallD1", name+".zone"),
		conn.ExportMethodTable(map[string]any{
			"Get": func(_, setting string) (dbus.Variant, *dbus.Error) {
				if says[setting] == "" {
					return dbus.MakeVariant(""), dbus.MakeFailedError(errors.New("no such property"))
				}
				return dbus.MakeVariant(says[setting]), nil
			},
		}, "/org/fedoraproject/FirewallD1/config", "org.freedesktop.DBus.Properties"),
	)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName(name, 0); err != nil {
		t.Fatal(err)
	}
}
