package link

import (
	"slices"
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

// own are the marks whose words are lines of their own.
var own = []string{ListenMark, GuardMark, ForwardMark, TrustMark}

// CheckTemplate tells why a text is no server block in which everybody is asked by the guard. It
// reads the text as nginx does, so that nothing of it can stand where nginx does not see it. Web
// refuses other templates, and core again.
func CheckTemplate(text string) error {
	b := block{lexer: lexer{text: strings.NewReplacer(HostMark, "x", PortMark, "x", UpstreamMark, "x").Replace(text)}}
	for {
		t, err := b.next()
		if err != nil {
			return err
		}
		if t.end == end {
			break
		}
		if err := b.take(t); err != nil {
			return err
		}
	}
	switch {
	case len(b.open) > 0:
		return refuse("has a block that is not closed")
	case b.marks != places(text):
		return unplaced
	case b.guards != 1 || b.servers != 1:
		return unguarded
	}
	return nil
}

var unguarded = refuse("must be one server block with {{.Guard}} in it once, on a line of its own and in no other block, or everybody would get in")

func refuse(detail string) error { return ownline.Invalid("options.template", detail) }

// block is what has been read of a text.
type block struct {
	lexer
	open            []string // names of the blocks around
	servers, guards int
	marks           int // that stand where a directive could
}

// refused are directives by which requests, or nginx's own within it, get by the guard.
var refused = map[string]string{
	"auth_request": "", "auth_request_set": "", "satisfy": "", "add_before_body": "", "add_after_body": "", "ssi": "",
	"include": ", because nobody sees what is in the file",
}

func (b *block) take(t statement) error {
	switch t.end {
	case mark:
		b.marks++
		switch {
		case t.words[0] != GuardMark:
		case len(b.open) == 1 && b.open[0] == "server":
			b.guards++
		default:
			return unguarded
		}
		return nil
	case closing:
		if len(b.open) == 0 {
			return refuse("closes a block that it did not open")
		}
		b.open = b.open[:len(b.open)-1]
		return nil
	}
	name := t.words[0]
	if why, bad := refused[name]; bad {
		return refuse("must not have " + name + why)
	}
	if strings.HasSuffix(name, "_by_lua_block") { // which nginx reads otherwise
		return refuse("must not have " + name)
	}
	// Before the location is known, it would lead nginx's question to the gate elsewhere.
	if name == "rewrite" && !slices.Contains(b.open, "location") {
		return refuse("must have rewrite in a location only")
	}
	if t.end == opening {
		if name == "server" && len(b.open) == 0 {
			if b.servers++; b.servers > 1 || len(t.words) > 1 {
				return unguarded
			}
		}
		b.open = append(b.open, name)
	}
	return nil
}

// Preview is what would be written for a service.
type Preview struct {
	Text string `json:"text"`
}
