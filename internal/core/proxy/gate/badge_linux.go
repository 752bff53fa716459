package gate

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// life is a network interface that nothing goes through. The kernel takes it away with the process that
// holds it, however that ends (tuntap.rst), and only who may change the router's network can make another
// of its name: numbers of processes, which would be free, are given to anybody again.
type life struct {
	fd   int
	path string // a file, which Caddy wants; there while it is, to every process in this network
}

func begin() (*life, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	var random [5]byte
	rand.Read(random[:])
	name := "badge" + hex.EncodeToString(random[:]) // IFNAMSIZ is 16, with a NUL
	l := &life{fd: fd, path: "/proc/sys/net/ipv4/conf/" + name + "/forwarding"}
	ifr, err := unix.NewIfreq(name)
	if err == nil {
		ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	}
	if err == nil {
		_, err = os.Stat(l.path)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	return l, nil
}

func (l *life) end() { unix.Close(l.fd) }

func isOurs(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Geteuid()
}
