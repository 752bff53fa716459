package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/ownline/ownline/internal/ownline"
)

// Port chooses the public port of a session that would otherwise be as o says: the grant's
// fixed port, else the one asked for, else the first that is free from a place that stays
// the same for the same user and service, so that bookmarks and firewalls on the way keep
// working.
func Port(asked uint16, o Opening, f Facts) (uint16, error) {
	l := f.Limits
	fixed := f.Grant.PublicPort
	if f.Service.Kind == ownline.Proxy {
		return proxyPort(asked, o, f)
	}
	switch {
	case fixed != 0 && asked != 0 && asked != fixed:
		return 0, ownline.Invalid("public_port", fmt.Sprintf("the grant fixes port %d", fixed))
	case fixed != 0:
		return fixed, usable(fixed, o, f)
	case asked != 0 && (asked < l.PortMin || asked > l.PortMax):
		return 0, ownline.Invalid("public_port", fmt.Sprintf("must be one of %d to %d", l.PortMin, l.PortMax))
	case asked != 0:
		return asked, usable(asked, o, f)
	}
	size := int(l.PortMax) - int(l.PortMin) + 1
	if size <= 0 {
		return 0, ownline.Conflict("public_port", "the configuration leaves no port to choose from")
	}
	start := int(stableNumber(f.User.ID, f.Service.ID) % uint64(size))
	for i := range size {
		p := l.PortMin + uint16((start+i)%size)
		if usable(p, o, f) == nil {
			return p, nil
		}
	}
	return 0, ownline.Conflict("public_port", "every port of the range is taken for this source")
}

// proxyPort is the one of all proxied services of a site. Nobody has to allow it, although
// the router itself serves it: that is what it serves it for.
func proxyPort(asked uint16, o Opening, f Facts) (uint16, error) {
	port := f.Site.Proxy.Port
	if asked != 0 && asked != port {
		return 0, ownline.Invalid("public_port", fmt.Sprintf("the site's reverse proxy has port %d", port))
	}
	return port, free(port, o, f)
}

// usable says why a port can't be had, or nil.
func usable(port uint16, o Opening, f Facts) error {
	if slices.Contains(f.Site.ReservedPorts, port) && !allowReserved(port, f.Grant) {
		return ownline.Conflict("public_port", fmt.Sprintf("the router itself serves port %d; an admin can allow it in the grant", port))
	}
	return free(port, o, f)
}

// free says why a port can't be had besides what has it, or nil: the same port of a source
// leads to one target. Proxied services have the same.
func free(port uint16, o Opening, f Facts) error {
	for _, h := range f.Holes {
		if h.Port == port && h.Transport == o.Transport && h.Source == o.Source && h.Target != o.Target {
			return ownline.Conflict("public_port", fmt.Sprintf("%s has a session to another target on port %d", o.Source, port))
		}
	}
	return nil
}

func allowReserved(port uint16, g ownline.Grant) bool {
	return g.AllowReserved && g.PublicPort == port
}

// stableNumber is the same for the same user and service, wherever it is computed.
func stableNumber(u ownline.UserID, s ownline.ServiceID) uint64 {
	sum := sha256.Sum256(append(u[:], s[:]...))
	return binary.BigEndian.Uint64(sum[:])
}
