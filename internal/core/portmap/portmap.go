// Package portmap has the router in front of this one, which its admin does not command, lead
// public ports here: while sessions need them, for their sources where the router can be told
// them, and by leases that the router ends itself should core die. It asks by PCP, UPnP or
// NAT-PMP, and asks the default gateway alone. It only widens what reaches this router; who is
// let in is the firewall's matter, whatever the router in front does.
package portmap

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// Opening is a public port that the router in front is to lead to the same port of this one.
type Opening struct {
	Transport ownline.Transport
	Port      uint16
	Sources   []netip.Addr // who comes, sorted; empty: everybody
	Until     time.Time    // zero: as long as core runs
}

func (o *Opening) key() key { return key{o.Transport, o.Port} }

// key names a port: no protocol can lead one to two places.
type key struct {
	transport ownline.Transport
	port      uint16
}

// String returns "20000/tcp".
func (k key) String() string { return fmt.Sprintf("%d/%s", k.port, k.transport) }

// number is the protocol's, as IP has it.
func (k key) number() byte {
	if k.transport == ownline.UDP {
		return 17
	}
	return 6
}

// protocol is a way to ask one router. The Keeper makes one call at a time. An error that is no
// refusal says that the router did not answer, or not in the protocol.
type protocol interface {
	// look asks how the router is. lost says that it may have forgotten what it was asked for,
	// such as held.
	look(ctx context.Context, held []key) (lost bool, err error)
	// open has the router lead a port here for so long, or for longer if it is there already.
	open(ctx context.Context, o *Opening, lease time.Duration) (grant, error)
	// shut takes it back. It is no error if it is not there any more.
	shut(ctx context.Context, k key) error
	// external is the router's own public address, as far as it is known.
	external() netip.Addr
}

// grant is what a router gave.
type grant struct {
	lease  time.Duration
	narrow bool // the router was told who comes
}

// refusal is a router's no.
type refusal struct{ why string }

func (r *refusal) Error() string { return "the router refuses: " + r.why }

// refused reports whether a router said no, and not nothing.
func refused(err error) bool {
	var r *refusal
	return errors.As(err, &r)
}

// otherPort says that a router would lead another port here, which nobody asks for.
func otherPort(got uint16) error {
	return &refusal{fmt.Sprintf("another device has the port; it offers %d instead", got)}
}

var errSilent = errors.New("the router does not answer")

// dial finds out whether a router speaks a protocol.
type dial func(ctx context.Context, router netip.Addr, secret []byte) (protocol, error)

// spoken are the protocols, those that can be told the source in front. One that can't comes last.
var spoken = []struct {
	name string
	dial dial
}{
	{ownline.PCPPorts, dialPCP},
	{ownline.UPnPPorts, dialUPnP},
	{ownline.NATPMPPorts, dialNATPMP},
}

// finder is find, or a test's.
type finder func(ctx context.Context, setting string, router netip.Addr, secret []byte) (name string, p protocol, err error)

// find asks a router for the protocol that is set, or for any.
func find(ctx context.Context, setting string, router netip.Addr, secret []byte) (string, protocol, error) {
	var errs []error
	for _, s := range spoken {
		if setting != ownline.AutoPorts && setting != s.name {
			continue
		}
		p, err := s.dial(ctx, router, secret)
		if err == nil && s.name == ownline.NATPMPPorts && len(errs) > 0 && !errors.Is(errs[0], errPCPVersion) {
			// PCP has the same port, so the router has just started: it may speak the others by now.
			if name, better, err := find(ctx, ownline.PCPPorts, router, secret); err == nil {
				return name, better, nil
			}
		}
		if err == nil {
			return s.name, p, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", s.name, plain(err)))
	}
	return "", nil, fmt.Errorf("the router in front, %s, opens no ports: %w", router, oneLine(errs))
}

// oneLine are errors in one line: what is said of a router stands in tables, lists and logs.
type oneLine []error

func (l oneLine) Error() string {
	said := make([]string, len(l))
	for i, err := range l {
		said[i] = err.Error()
	}
	return strings.Join(said, "; ")
}

// Unwrap has each of them be found.
func (l oneLine) Unwrap() []error { return l }

// plain is an error without the sockets that it is of.
func plain(err error) error {
	var call *os.SyscallError
	if errors.As(err, &call) {
		return call.Err
	}
	return err
}
