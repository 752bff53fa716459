//go:build !linux

package bed

import (
	"context"
	"errors"
	"net/netip"
	"os/exec"
	"syscall"
)

type namespace struct{}

func (*namespace) do(func() error) error { return errors.ErrUnsupported }
func (*namespace) close() error          { return nil }

func (*Bed) build(context.Context, plan) error { return errors.ErrUnsupported }

// Check returns errors.ErrUnsupported.
func Check() error { return errors.ErrUnsupported }

// Enter returns errors.ErrUnsupported.
func Enter() error { return errors.ErrUnsupported }

// AddHost returns errors.ErrUnsupported.
func (*Bed) AddHost(string, bool) (*Host, error) { return nil, errors.ErrUnsupported }

// Plug returns errors.ErrUnsupported.
func (*Host) Plug(string, []netip.Prefix, *Host, string, []netip.Prefix, ...netip.Addr) error {
	return errors.ErrUnsupported
}

// Switch returns errors.ErrUnsupported.
func (*Host) Switch(string, []netip.Prefix, ...string) error { return errors.ErrUnsupported }

// AddAddr returns errors.ErrUnsupported.
func (*Host) AddAddr(string, netip.Prefix) error { return errors.ErrUnsupported }

// DelAddr returns errors.ErrUnsupported.
func (*Host) DelAddr(string, netip.Prefix) error { return errors.ErrUnsupported }

// SetLink returns errors.ErrUnsupported.
func (*Host) SetLink(string, bool) error { return errors.ErrUnsupported }

// AddRoute returns errors.ErrUnsupported.
func (*Host) AddRoute(netip.Prefix, netip.Addr) error { return errors.ErrUnsupported }

// DelRoute returns errors.ErrUnsupported.
func (*Host) DelRoute(netip.Prefix, netip.Addr) error { return errors.ErrUnsupported }

// Sysctl returns errors.ErrUnsupported.
func (*Host) Sysctl(string, string) error { return errors.ErrUnsupported }

// Fd returns -1.
func (*Host) Fd() int { return -1 }

// Command returns a command that Start and Run refuse.
func (*Host) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, name, args...)
}

// Start returns errors.ErrUnsupported.
func (*Host) Start(*exec.Cmd) error { return errors.ErrUnsupported }

// Run returns errors.ErrUnsupported.
func (*Host) Run(*exec.Cmd) error { return errors.ErrUnsupported }

// SpoofUDP returns errors.ErrUnsupported.
func (*Host) SpoofUDP(netip.AddrPort, netip.AddrPort, []byte) error { return errors.ErrUnsupported }

// Forge returns errors.ErrUnsupported.
func (*Host) Forge(context.Context, Forgery) (uint64, error) { return 0, errors.ErrUnsupported }

// Capture returns errors.ErrUnsupported.
func (*Host) Capture(string, Filter) (*Capture, error) { return nil, errors.ErrUnsupported }

// Capture records packets; never here.
type Capture struct{}

// Next returns errors.ErrUnsupported.
func (*Capture) Next(context.Context) (Packet, error) { return Packet{}, errors.ErrUnsupported }

// Drain returns errors.ErrUnsupported.
func (*Capture) Drain() ([]Packet, error) { return nil, errors.ErrUnsupported }

// Close returns nil.
func (*Capture) Close() error { return nil }

type softError struct{}

func (*softError) watch(string, string, syscall.RawConn) error { return errors.ErrUnsupported }
func (*softError) end() error                                  { return nil }

func reportICMP(string, string, syscall.RawConn) error { return errors.ErrUnsupported }
