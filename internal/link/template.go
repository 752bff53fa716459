package link

import (
	"strings"

	"github.com/ownline/ownline/internal/ownline"
)

// What the text of ProxyOptions.Template has, on its way to core, where the router's own words
// belong. Web has executed the admin's template by then, so that core needs no template engine.
// nginx takes none of them for anything else, should one be left over.
const (
	HostMark     = "{ownline:host}"     // NAME.DOMAIN
	PortMark     = "{ownline:port}"     // in the URLs that people open
	ListenMark   = "{ownline:listen}"   // directives: where clients arrive, with the certificate
	GuardMark    = "{ownline:guard}"    // directives: who is admitted, and what is refused
	ForwardMark  = "{ownline:forward}"  // directives: who asks, and how answers stream
	UpstreamMark = "{ownline:upstream}" // for proxy_pass or grpc_pass
	TrustMark    = "{ownline:trust}"    // directives: how an https service proves who it is
)

// Guarded reports whether a text asks who is admitted: its guard has to stand on a line of its
// own, where it is no part of a comment. Web refuses other templates, and core again.
func Guarded(text string) bool {
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == GuardMark {
			return true
		}
	}
	return false
}

// ErrUnguarded is of a template whose text is not Guarded.
var ErrUnguarded = ownline.Invalid("options.template", "must have {{.Guard}} in its server block, on a line of its own, or everybody would get in")

// Preview is what would be written for a service.
type Preview struct {
	Text string `json:"text"`
}
