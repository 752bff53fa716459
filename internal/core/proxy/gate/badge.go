package gate

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// A badge is what a server sees of a connection that was let in, with one stat(2): where it is, the
// question would be answered by yes, so it need not be asked. It is a symbolic link in a folder of the
// gate's own, which leads to something that is there while the gate's process lives: once that is dead,
// however it died, the badges lead nowhere. Where there can be none, servers ask.
//
// It is for the connections that are known, no others: so what ends with a session is the same with it as
// without. It says nothing of logins, which are a request's and not a connection's.

// maxBadges keeps them within some megabytes of the kernel's memory.
const maxBadges = 1 << 14

// BadgeName is the name of a badge. Client and port are the very texts of ClientHeader and PortHeader, so a
// server may have its variables there.
func BadgeName(service ownline.ServiceID, version, client, port string) string {
	return service.String() + "." + version + "." + client + "." + port
}

// badges are guarded by the mutex of their gate.
type badges struct {
	life   *life // where they lead to; nil: there are none
	count  int
	broken chan error // one could not be taken away
}

// openBadges makes the folder, for the group that may ask: who can look for a badge learns no more than who
// asks. What is there is of a gate that is dead.
func openBadges(folder string, gid int) error {
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(folder)
	if err != nil {
		return err
	}
	if !info.IsDir() || !isOurs(info) {
		return ownline.Conflict("gate_socket", folder+" is there, and no folder of ours; remove it")
	}
	if err := os.Chmod(folder, 0o700); err != nil { // nobody adds one while they are taken away
		return err
	}
	entries, err := os.ReadDir(folder)
	for _, e := range entries {
		if e.Type() != fs.ModeSymlink {
			return ownline.Conflict("gate_socket", filepath.Join(folder, e.Name())+" is there, and no badge; remove it")
		}
		err = errors.Join(err, os.Remove(filepath.Join(folder, e.Name())))
	}
	mode := os.FileMode(0o700)
	if gid >= 0 {
		mode = 0o710
		err = errors.Join(err, os.Chown(folder, -1, gid))
	}
	return errors.Join(err, os.Chmod(folder, mode))
}

// badge writes one for a connection that was let in, if it may have one.
func (g *Gate) badge(a ask, c *connection) {
	p := &g.badges
	if c.badge != "" || a.login || p.life == nil || p.count >= maxBadges || !fit(a.version) {
		return
	}
	path := filepath.Join(g.Badges, BadgeName(a.service, a.version, a.text, a.port))
	if err := os.Symlink(p.life.path, path); err != nil {
		g.Logger.Debug("a connection has no badge", logging.Err, err)
		return
	}
	c.badge, c.version = path, a.version
	p.count++
}

// closeBadges is the end: one that could not be taken away leads nowhere from now on.
func (g *Gate) closeBadges() {
	if l := g.badges.life; l != nil {
		l.end()
		g.badges.life = nil
		os.Remove(g.Badges)
	}
}

// recheck has servers ask again for the connections whose end nobody tells us: those from the router's own
// networks, which may be others now.
func (g *Gate) recheck() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.known {
		if c.live.Done() == nil {
			g.revoke(c)
		}
	}
}

// fit keeps the name of a file what it seems to be; the rest of it has been parsed.
func fit(version string) bool {
	return version != "" && len(version) <= 64 && strings.Trim(version, "0123456789abcdef") == ""
}

// revoke takes the badge of a connection away. A gate that can't ends: then it counts no more.
func (g *Gate) revoke(c *connection) {
	if c.badge == "" {
		return
	}
	if err := os.Remove(c.badge); err != nil && !errors.Is(err, fs.ErrNotExist) {
		select {
		case g.badges.broken <- err:
		default:
		}
	}
	c.badge = ""
	g.badges.count--
}
