package watch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"time"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const groups = unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR | unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE

// network is told by the kernel of addresses and routes as they come and go.
type network struct {
	conn  *rtnetlink.Conn
	known ways
}

func openNetwork() (teller, error) {
	conn, err := rtnetlink.Dial(&netlink.Config{Groups: groups})
	if err != nil {
		return nil, fmt.Errorf("netlink: %w", err) // Android does not let apps
	}
	known, err := list() // what comes meanwhile is told by conn
	if err != nil {
		conn.Close()
		return nil, err
	}
	return network{conn, known}, nil
}

// ways are the addresses that this machine has and the ways out of its networks.
type ways map[string]bool

func (n network) run(ctx context.Context, tell func()) error {
	stop := context.AfterFunc(ctx, func() { n.conn.Close() })
	defer stop()
	known := n.known
	var first time.Time // of the changes that were not told yet
	for {
		var deadline time.Time
		if !first.IsZero() {
			deadline = time.Now().Add(quiet)
			if last := first.Add(impatience); last.Before(deadline) {
				deadline = last
			}
		}
		if err := n.conn.SetReadDeadline(deadline); err != nil && ctx.Err() == nil {
			return err
		}
		messages, headers, err := n.conn.Receive()
		changed := false
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			first = time.Time{}
			tell()
		case errors.Is(err, unix.ENOBUFS): // more than the kernel keeps for us
			now, err := list()
			if err != nil {
				return err
			}
			known, changed = now, !maps.Equal(known, now)
		case err != nil:
			return fmt.Errorf("netlink: %w", err)
		}
		for i, m := range messages {
			changed = known.apply(headers[i].Header.Type, m) || changed
		}
		if changed && first.IsZero() {
			first = time.Now()
		}
	}
}

// list asks for what there is now.
func list() (ways, error) {
	conn, err := rtnetlink.Dial(nil)
	if err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	defer conn.Close()
	w := ways{}
	addresses, err := conn.Address.List()
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addresses {
		w.apply(unix.RTM_NEWADDR, &a)
	}
	routes, err := conn.Route.List()
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	for _, r := range routes {
		w.apply(unix.RTM_NEWROUTE, &r)
	}
	return w, nil
}

// apply reports whether a message changes anything. One that says again what is known does not: the
// kernel does that whenever a lifetime is renewed.
func (w ways) apply(kind netlink.HeaderType, m rtnetlink.Message) bool {
	var key string
	gone := kind == unix.RTM_DELADDR || kind == unix.RTM_DELROUTE
	switch m := m.(type) {
	case *rtnetlink.AddressMessage:
		if m.Attributes == nil || m.Scope >= unix.RT_SCOPE_LINK {
			return false // good for this link or this machine alone
		}
		address := m.Attributes.Address
		if m.Attributes.Local != nil {
			address = m.Attributes.Local // of a point-to-point link, Address is the other end
		}
		key = fmt.Sprint("address ", m.Index, " ", address)
		if (m.Attributes.Flags|uint32(m.Flags))&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) != 0 {
			gone = true // it can't be used yet; its next message says that it can
		}
	case *rtnetlink.RouteMessage:
		// A VPN may take the whole internet in two halves, or through a table of its own.
		if m.DstLength > 1 || m.Type != unix.RTN_UNICAST {
			return false
		}
		a := m.Attributes
		key = fmt.Sprint("route ", m.Family, " ", a.Dst, "/", m.DstLength, " ", max(uint32(m.Table), a.Table), " ", a.OutIface, " ", a.Gateway, " ", a.Priority)
		if a.Via != nil {
			key += fmt.Sprint(" ", a.Via.Addr)
		}
		for _, hop := range a.Multipath {
			key += fmt.Sprint(" ", hop.Hop.IfIndex, " ", hop.Gateway)
		}
	default:
		return false
	}
	if gone {
		known := w[key]
		delete(w, key)
		return known
	}
	known := w[key]
	w[key] = true
	return !known
}
