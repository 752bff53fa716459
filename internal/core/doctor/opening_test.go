//go:build !noproxy

package doctor_test

import (
	"net/netip"
	"testing"

	"github.com/ownline/ownline/internal/core/doctor"
	"github.com/ownline/ownline/internal/link"
)

func TestWhatTheRouterInFrontSays(t *testing.T) {
	said(t, map[string]saying{
		"the router in front opens": {func(_ *doctor.Router, d *daemon) {
			d.status.Ports = &link.Ports{OK: true, Protocol: "pcp", Router: netip.MustParseAddr("192.168.1.1"), External: netip.MustParseAddr("198.51.100.9")}
		}, "port-opening", doctor.Good, "192.168.1.1, opens ports as they are needed (pcp)"},
		"the router in front opens nothing": {func(_ *doctor.Router, d *daemon) {
			d.status.Ports = &link.Ports{Error: "it does not answer"}
		}, "port-opening", doctor.Problem, "does not open ports: it does not answer.\nallow it there (PCP, NAT-PMP or UPnP), or forward the ports there by hand and write `ports: {open: off}` into core.yaml"},
		"the router in front is behind another": {func(_ *doctor.Router, d *daemon) {
			d.status.Ports = &link.Ports{OK: true, External: netip.MustParseAddr("100.64.0.9")}
		}, "port-opening", doctor.Problem, "has the address 100.64.0.9 itself"},
		"IPv6 by hand": {func(r *doctor.Router, d *daemon) {
			r.Host.Own = []netip.Addr{netip.MustParseAddr("192.168.1.2"), netip.MustParseAddr("2001:db8::2")}
			d.status.Ports = &link.Ports{OK: true}
		}, "port-opening", doctor.Warning, "of IPv4 alone"},
		"no forwarding by hand": {func(r *doctor.Router, d *daemon) {
			r.Host.Own = []netip.Addr{netip.MustParseAddr("192.168.1.2")}
			d.status.Ports = &link.Ports{OK: true}
		}, "port-opening", doctor.Good, "opens ports"},
	})
}
