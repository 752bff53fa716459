package gate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall/netlink"
)

// kernel ends connections of other programs (sock_diag(7), SOCK_DESTROY). It is not safe for
// concurrent use.
type kernel struct{ conn *netlink.Conn }

const (
	destroyCommand = 21 // SOCK_DESTROY
	anyCookie      = 0xffffffff
	tcpListen      = 10 // TCP_LISTEN, a bit in a set of states
	idLen          = 48 // struct inet_diag_sockid
)

// errNoDestroy: CONFIG_INET_DIAG_DESTROY is not in the kernel.
var errNoDestroy = errors.New("it was built without CONFIG_INET_DIAG_DESTROY")

// openKernel finds out whether the kernel can end connections, by one that can't be there.
func openKernel() (*kernel, error) {
	c, err := netlink.Dial(unix.NETLINK_INET_DIAG)
	if err != nil {
		return nil, err
	}
	k := &kernel{c}
	nowhere := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
	if err := k.end(nowhere, nowhere, make([]byte, 8)); err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ESTALE) {
		c.Close()
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
			err = errNoDestroy
		}
		return nil, err
	}
	return k, nil
}

func (k *kernel) close() { k.conn.Close() }

// destroy ends a connection: the client gets a reset, the server an error. One that is gone
// is none. For one that is gone the kernel finds the socket that listens, so it is looked at
// first, and then meant by its cookie. The contract of core/proxy/nginx fails without that.
func (k *kernel) destroy(server, client netip.AddrPort) error {
	var get netlink.Message
	get.Begin(unix.SOCK_DIAG_BY_FAMILY, unix.NLM_F_ACK)
	get.Raw(request(server, client, ^uint32(0))...)
	var cookie []byte
	err := k.conn.Do(&get, func(_ uint16, b []byte) error {
		if s, c, ok := connected(b); ok && s == server && c == client && b[1] != tcpListen {
			cookie = slices.Clone(b[4+idLen-8 : 4+idLen])
		}
		return nil
	})
	if err == nil && cookie != nil {
		err = k.end(server, client, cookie)
	}
	if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ESTALE) {
		return fmt.Errorf("end the connection from %s: %w", client, err)
	}
	return nil
}

// end is destroy of the very socket.
func (k *kernel) end(server, client netip.AddrPort, cookie []byte) error {
	var m netlink.Message
	m.Begin(destroyCommand, unix.NLM_F_ACK)
	r := request(server, client, ^uint32(0))
	copy(r[len(r)-8:], cookie)
	m.Raw(r...)
	return k.conn.Do(&m, nil)
}

// open lists the clients that are connected to a server.
func (k *kernel) open(servers []netip.AddrPort) (map[netip.AddrPort]bool, error) {
	clients := map[netip.AddrPort]bool{}
	for _, server := range servers {
		var m netlink.Message
		m.Begin(unix.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
		none := netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
		if server.Addr().Is6() {
			none = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
		}
		m.Raw(request(netip.AddrPortFrom(none.Addr(), server.Port()), none, ^uint32(1<<tcpListen))...)
		err := k.conn.Do(&m, func(_ uint16, b []byte) error {
			if s, c, ok := connected(b); ok && s == server {
				clients[c] = true
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return clients, nil
}

// request is struct inet_diag_req_v2.
func request(server, client netip.AddrPort, states uint32) []byte {
	family := byte(unix.AF_INET)
	if server.Addr().Is6() {
		family = unix.AF_INET6
	}
	b := make([]byte, 8, 8+idLen)
	b[0], b[1] = family, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(b[4:], states)
	b = binary.BigEndian.AppendUint16(b, server.Port())
	b = binary.BigEndian.AppendUint16(b, client.Port())
	for _, a := range []netip.Addr{server.Addr(), client.Addr()} {
		var field [16]byte
		copy(field[:], a.AsSlice())
		b = append(b, field[:]...)
	}
	b = binary.NativeEndian.AppendUint32(b, 0) // any interface
	b = binary.NativeEndian.AppendUint32(b, anyCookie)
	return binary.NativeEndian.AppendUint32(b, anyCookie)
}

// connected reads struct inet_diag_msg.
func connected(b []byte) (server, client netip.AddrPort, ok bool) {
	if len(b) < 4+idLen {
		return server, client, false
	}
	length := 4
	if b[0] == unix.AF_INET6 {
		length = 16
	}
	s, _ := netip.AddrFromSlice(b[8 : 8+length])
	c, _ := netip.AddrFromSlice(b[24 : 24+length])
	return netip.AddrPortFrom(s, binary.BigEndian.Uint16(b[4:])), netip.AddrPortFrom(c, binary.BigEndian.Uint16(b[6:])), true
}
