package gate

import (
	"net/http"
	"net/netip"
	"strconv"

	"github.com/ownline/ownline/internal/ownline"
)

// ask is a question: may this connection reach this service?
type ask struct {
	service ownline.ServiceID
	client  netip.AddrPort
	version string // "": not told
	login   bool   // the service requires one

	text, port string // of client, as the server has them
}

// parse takes only what a server writes: each header once, in its only form.
func parse(h http.Header) (a ask, err error) {
	var text [3]string
	for i, name := range []string{ServiceHeader, ClientHeader, PortHeader} {
		if values := h[name]; len(values) == 1 {
			text[i] = values[0]
		} else {
			return ask{}, ownline.Invalid(name, "must be there once")
		}
	}
	if a.service, err = ownline.ParseID[ownline.Service](text[0]); err != nil || a.service.IsZero() || a.service.String() != text[0] {
		return ask{}, ownline.Invalid(ServiceHeader, "is no identifier")
	}
	addr, err := netip.ParseAddr(text[1])
	if err != nil || addr.Zone() != "" {
		return ask{}, ownline.Invalid(ClientHeader, "is no address")
	}
	port, err := strconv.ParseUint(text[2], 10, 16)
	if err != nil || port == 0 || strconv.FormatUint(port, 10) != text[2] {
		return ask{}, ownline.Invalid(PortHeader, "is no port")
	}
	a.client = netip.AddrPortFrom(addr.Unmap(), uint16(port))
	a.text, a.port = text[1], text[2]
	_, a.login = h[LoginHeader]
	if values := h[VersionHeader]; len(values) == 1 {
		a.version = values[0]
	}
	return a, nil
}
