package api

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"
)

// sentence is what is wrong with a field, without the field's name.
type sentence struct{ code, words string }

// sentences are what the API says of input that it refuses, each with the code by which clients
// know it that speak another language. What stands in braces are its parameters. The sentences
// themselves stand where things are refused, in the rooms that know nothing of codes; a test
// reads them there. A code never changes, its sentence may.
var sentences = []sentence{
	// Any field.
	{"length_least", "must have {least} characters or more"}, // the first six says huma, in our words
	{"length_most", "must have {most} characters at most"},
	{"number_least", "must be {least} or more"},
	{"number_most", "must be no more than {most}"},
	{"items_most", "must have {most} entries at most"},
	{"one_of", `must be one of "{words}"`},
	{"identifier", "is not an identifier"},
	{"duration", "is not a duration like 30m or 2h"},
	{"range_from_1", "must be 1 to {most}"},
	{"printable", "must have 1 to {most} printable characters"},
	{"printable_most", "must be {most} printable characters at most"},
	{"printable_range", "must be {least} to 64 printable characters"},
	{"twice", "is given more than once"},
	{"text", "must be valid UTF-8 without NUL"},
	{"cursor", "is not one that a list returned"},
	{"all_or_user", "and user can't be given together"},
	{"choice", `must be "{one}" or "{other}"`},
	{"missing", "is missing"},

	// Names.
	{"name_characters", "must be 1 to 64 of a-z 0-9 . _ -"},
	{"name_start", "must begin with a letter or digit"},
	{"name_of_user", "is another user's already"},
	{"name_of_site", "is another site's already"},
	{"name_of_service", "is another service's of this site already"},
	{"name_of_device", "is another device's of this user at this site already"},
	{"service_name", "must be 1 to 63 of a-z 0-9 -, with - only inside"},
	{"service_name_pages", `"{name}" is for Ownline's own pages: set publish in web.yaml`},
	{"service_name_guests", `"{name}" is where guests meet Ownline: choose another one`},
	{"service_name_broker", `"{name}" is the name of the broker inside Ownline, for which the router signs certificates: choose another one for a proxied service`},
	{"host", "must be the public name or address of the router, without a port"},
	{"ipv6_prefix", "must be 48 to 128"},
	{"ipv6_prefix_policy", "is shorter than networks in policy.networks of web.yaml, which would let in nobody: {networks}; name networks of {bits} bits or fewer there first"},
	{"ipv6_prefix_lists", "is shorter than networks in allowed_from, which would let in nobody: {lists}; take them out, or name networks of {bits} bits or fewer, first"},

	// Users and how they sign in.
	{"password_text", "is not valid text"},
	{"password_short", "is too short: at least {least} characters, for instance four words"},
	{"password_long", "is too long: at most {most} bytes"},
	{"password_same", "is one character over and over"},
	{"password_present", "is the present one"},
	{"password_own", "is your own: change it by PUT /api/v1/me/password, which asks for the present one"},
	{"password_and_hash", "and a hash of one can't be given together"},
	{"password_changed", "was changed by somebody else meanwhile"},
	{"setup_finished", "the setup is finished: sign in instead"},
	{"setup_link", "this setup link is too old, or was never valid; start ownline-web again for a new one, or run `ownline-web user add --admin NAME`"},
	{"last_admin", "this is the last admin who can sign in; make another one first"},
	{"otp_needed", "is needed, or a recovery code"},
	{"otp_no_use", "is of no use: there is no second factor; give the password"},
	{"otp_wrong", "is not the code that the app shows now; is the clock of the device right?"},
	{"totp_on", "is on already; turn it off first"},
	{"totp_not_begun", "was not begun, or was given up meanwhile"},
	{"totp_begun_anew", "was begun anew or confirmed meanwhile"},
	{"totp_off", "is off; recovery codes come with it"},
	{"challenge_used", "was used already"},
	{"challenge_no_passkey", "is of a user without passkeys; use a code"},
	{"passkeys_no_url", "is not set: passkeys are bound to the name of the server, so set it in web.yaml"},
	{"passkeys_bad_url", "can't be read, and passkeys are bound to it"},
	{"passkeys_address", "names an address, and browsers bind passkeys to names only, like ownline.example.org or localhost"},
	{"passkeys_http", "has to begin with https://: browsers offer no passkeys without encryption"},
	{"passkeys_no_use", "can't be used for passkeys: {why}"},
	{"passkey_unreadable", "is not what an authenticator answers"},
	{"passkey_other", "was not made for this server and this try, or nobody unlocked the authenticator"},
	{"passkey_known", "is registered already"},
	{"passkeys_most", "you have as many passkeys as one may; remove one first"},
	{"last_sign_in", "it is the last way to sign in: add another one first, or ask an admin for a password"},
	{"linked_other", "you are linked with another user here as the identity provider knows you"},
	{"linked_already", "another user is linked already"},
	{"return_path", "must be the path of one of our pages, like /sessions"},
	{"token_past", "lies in the past"},
	{"token_scopes", "must be of {scopes}"},
	{"token_no_scope", "needs at least one of {scopes}"},

	// Sites and pairing.
	{"pairing_none", "not a pairing code; run `ownline-core pair` on the router and paste its whole line"},
	{"pairing_not_whole", "the code is not complete; run `ownline-core pair` on the router and paste its whole line"},
	{"pairing_pin", "the code's pin is damaged; run `ownline-core pair` on the router and paste its whole line"},
	{"pairing_no_token", "the code has no token; run `ownline-core pair` on the router and paste its whole line"},
	{"pairing_no_address", "the code has no address; run `ownline-core pair` on the router and paste its whole line"},
	{"pairing_port", "the code's port is not one of 1 to 65535; run `ownline-core pair` on the router and paste its whole line"},
	{"pairing_used", "the code was used already, or core was started again since; run `ownline-core pair` again"},
	{"pairing_old", "the code is older than 10 minutes; run `ownline-core pair` again"},
	{"pairing_not_newest", "the code is not the newest one; run `ownline-core pair` again"},
	{"pairing_wrong_key", "what answers at {where} has not the key of the code: either the core's key has changed since, or it is another machine"},
	{"pairing_silent", "its core was not met at {where}: {why}"},
	{"pairing_no_door", "is of a core that dials web, but no address is configured for cores to dial"},
	{"pairing_this_site", "is of a core that is the site {site} already; to pair with it again: `ownline-web site pair {again}`"},
	{"pairing_other_site", "is of the core of another site, {site}"},
	{"pairing_some_site", "is of a core that is another site's already"},
	{"core_no_check", "its core can't check targets: it is too old, or the build for routers with little room"},
	{"core_too_old", "its core is too old for that: update ownline-core on its router"},
	{"core_no_fwknop", "its router does not hear fwknop clients: set knock.fwknop_listen in its core.yaml, like [::]:62201, and start core anew"},
	{"core_no_knock_port", "its core has not told its knock port yet; try again once it is connected"},
	{"core_at_home", "devices would knock at {host}, which is themselves: name the router's public host first, `ownline-web site set {site} --host HOST`"},

	// Services.
	{"target_needed", "is needed: the address and port of the service in the LAN, as in 192.168.1.10:22"},
	{"target_unreadable", "is not an {family} address and port like {example}"},
	{"target_port", "needs an address and a port of 1 to 65535"},
	{"target_not_4", "must be an IPv4 address; an IPv6 one belongs into target6"},
	{"target_not_6", "must be an IPv6 address without a zone"},
	{"target_itself", "{address} can't be reached from the router: use the host's address in the LAN"},
	{"target_unknown", "can't be checked: the site's core has not told its local networks; see local_networks in core.yaml"},
	{"target_outside", "{address} is in none of the site's local networks ({networks})"},
	{"target_outside_router", "is in none of the router's local networks"},
	{"kind_fixed", `is "{kind}" and can't be changed: remove the service, and make another`},
	{"kind_no_proxy", "proxy needs the site's reverse proxy, which is not set up: set proxy.domain, and a proxy.driver that is not none, in its core.yaml"},
	{"transport_proxy", `must be "tcp" for a service of kind proxy`},
	{"options_forward", "are for services of kind proxy"},
	{"scheme", `must be "http", "https" or "h2c"`},
	{"scheme_not_tls", `must be "https" for ca, pin and server_name to mean anything`},
	{"path_prefix", `must begin with /, not end with it, and have up to {most} of A-Z a-z 0-9 / . _ ~ -, without "." or ".." as a part`},
	{"headers_most", "must be {most} at most"},
	{"header_twice", "{name} is there twice; upper and lower case are the same"},
	{"header_length", "names must have 1 to 64 characters"},
	{"header_name", `"{name}" is not the name of a header: A-Z a-z 0-9 -`},
	{"header_own", "{name} is for the proxy to set"},
	{"header_long", "the value of {name} must have {most} bytes at most"},
	{"header_control", "the value of {name} must have no control characters"},
	{"header_dollar", "the value of {name} must have no $, which nginx, this site's proxy, can't be told to leave alone"},
	{"ca", "must be certificates in PEM"},
	{"pin", "must be 64 hexadecimal digits: the SHA-256 of the service's public key (SubjectPublicKeyInfo)"},
	{"server_name", "must be a host name without a port"},
	{"login_no_url", "needs public_url in web.yaml, where people log in"},
	{"template_long", "must be text of {most} bytes at most"},
	{"template_driver", "is for sites whose proxy.driver in core.yaml is nginx; this one's is {driver}"},
	{"template_open", "has a block that is not closed"},
	{"template_closed", "closes a block that it did not open"},
	{"template_guard", "must be one server block with {{.Guard}} in it once, on a line of its own and in no other block, or everybody would get in"},
	{"template_word", "must not have {word}"},
	{"template_rewrite", "must have rewrite in a location only"},
	{"own_service", "is Ownline itself, and kept as publish in web.yaml says"},
	{"not_proxied", "is a forward; those of kind proxy alone are in the configuration of a proxy"},
	{"icon_large", "must have {most} KiB at most"},
	{"icon_kind", "must be a PNG, JPEG, WebP or SVG picture"},
	{"icon_large_anew", "is larger than {most} KiB once it is written anew: use a smaller one"},
	{"icon_damaged", "is damaged"},
	{"icon_pixels", "must be 1 to {most} pixels wide and high"},
	{"icon_svg", "is not well-formed SVG"},
	{"icon_entities", "must not have a DOCTYPE or entities"},
	{"icon_intricate", "is too intricate"},
	{"icon_one_svg", "must be one svg element"},
	{"icon_foreign", "is a picture that is not this service's: upload it"},
	{"icon_unknown", "is none of the built-in icons, like {names}; GET /api/v1/icons lists them"},

	// Grants, devices, invitations, and from where.
	{"grant_there", "is granted to this user already"},
	{"grant_duration", "must be at least 1s, or 0 for the configured maximum"},
	{"grant_sources", "must be from 1 to {most}, or 0 for {usual}"},
	{"grant_everybody", "needs no grant: every user may use it"},
	{"grant_proxied", "is for forwards: a proxied service has the port of the site's reverse proxy"},
	{"grant_no_port", "needs a public_port that it is about"},
	{"grant_port_router", "the router itself serves port {port}; allow_reserved takes it nevertheless"},
	{"origins_most", "has {count} entries; at most {most} are taken"},
	{"origin_unreadable", `"{origin}" is no country like ES, no autonomous system like AS3352 and no network like 198.51.100.0/24`},
	{"origin_no_country", `"{origin}" is the code of no country in ISO 3166-1`},
	{"origin_other_code", `"{origin}" is the code of no country in ISO 3166-1: write {code}`},
	{"origin_4in6", `"{origin}" is an IPv4 network in the form of IPv6; write it as {network}`},
	{"origin_small", `"{origin}" is smaller than what a session lets in: name a network of {bits} bits or fewer, as in the site's ipv6_prefix, like {network}`},
	{"origin_empty", "has an empty entry"},
	{"origin_no_countries", "has countries, and nobody knows where addresses are: set policy.geoip_database in web.yaml, or name networks alone"},
	{"origin_no_asns", "has autonomous systems, and nobody knows whose addresses are: set policy.asn_database in web.yaml, or name networks alone"},
	{"device_user", "is needed: whose device is it?"},
	{"device_revoked", "is revoked; add a new one"},
	{"fwknop_digest", `"{digest}" is no HMAC that is taken: sha256, sha384, sha512, sha3_256 or sha3_512`},
	{"invitation_service", "is Ownline itself, where a guest has nothing to do"},
	{"invitation_life", "must be 1m to 8784h (366 days)"},
	{"invitation_countries", "must be codes of two letters like ES (ISO 3166-1)"},
	{"invitation_no_countries", "needs a database that knows where addresses are; an admin names it as policy.geoip_database in web.yaml"},
	{"invitations_most", "you have {most} invitations that are not used yet; revoke some first"},
	{"invitation_dead", "opens nothing any more: who made it may not use this service now"},
	{"invitation_revoked", "was revoked"},
	{"invitation_expired", "has expired"},
	{"invitation_used", "has been used"},
	{"invitation_from", "this invitation is not for guests from where you are"},
	{"invitation_nowhere", "nothing is opened for {address}, because of where it is"},
	{"invitation_secret", "is not that of an invitation's link; was the link copied whole?"},

	// Sessions.
	{"source", "is not an address like 198.51.100.7, or the network of a session like 2001:db8:7:1::/64"},
	{"source_address", "is not an address like 198.51.100.7"},
	{"source_not_public", "{address} is not a public address ({kind}), so a session for it would admit nobody or everybody"},
	{"source_inside", "{address} is inside the site's network {network}: no session is needed there"},
	{"source_family", `{address} is an {family} source, but "{service}" has only an {other} target`},
	{"for_short", "must be at least 1s"},
	{"for_long", "{asked} is too long: at most {most} for you"},
	{"proxy_untold", "needs the site's reverse proxy, and its core has not told of one yet; is it connected?"},
	{"proxy_none", "needs the site's reverse proxy, which is not set up: set proxy.domain, and a proxy.driver that is not none, in its core.yaml"},
	{"port_fixed", "the grant fixes port {port}"},
	{"port_range", "must be one of {least} to {most}"},
	{"port_none", "the configuration leaves no port to choose from"},
	{"port_all_taken", "every port of the range is taken for this source"},
	{"port_proxy", "the site's reverse proxy has port {port}"},
	{"port_router", "the router itself serves port {port}; an admin can allow it in the grant"},
	{"port_taken", "{source} has a session to another target on port {port}"},
	{"core_away", "the site's core can't be reached"},
	{"core_away_why", "the site's core can't be reached: {why}"},
	{"web_stopped", "web stopped before core had applied it"},
	{"proxy_gone", "the site's reverse proxy is not there any more"},
	{"core_ended", "the session ended on the router: {reason}"},
	{"core_port_leads", "port {port}/{transport} leads {source} to {target} already; choose another port"},
	{"core_port_used", "{port}/{transport} is used by the router itself; choose another port, or let an admin allow it in the grant"},
	{"core_port_http3", "{port}/udp is the reverse proxy's, for HTTP/3; choose another port"},
	{"core_port_proxied", "proxied services are at {port}/tcp, and nowhere else"},
	{"core_target", "{target} is in none of the router's local networks {networks}; see local_networks in core.yaml"},
	{"core_source_not_public", "{source} is not a public address ({kind})"},
	{"core_source_own", "{source} is, or holds, an address of the router itself"},
	{"core_source_gateway", "{source} is the router's gateway: the box in front of it rewrites sources, so this session would admit everybody"},
	{"core_source_ipv6", "{source} is of IPv6, which this router does not have"},
	{"core_source_family", "{source} is of a family that this router's proxy has no address of"},
	{"core_no_names", "this router serves no names: see proxy.domain in its core.yaml"},
	{"core_kind", `"{kind}" is neither forward nor proxy`},
	{"session_over", "is over; open a new one"},
	{"session_ended", "has ended meanwhile ({reason})"},
	{"key_long", "must be 128 characters at most"},
	{"key_used", "was used for another request"},
	{"pass_state", "is not what the service's router has sent: open the service's page again"},
	{"pass_path", "must be a path of the service"},
	{"pass_no_login", "needs no login"},
}

// What huma says of input reads like what we say of it.
func init() {
	validation.MsgExpectedMinLength = "must have %d characters or more"
	validation.MsgExpectedMaxLength = "must have %d characters at most"
	validation.MsgExpectedMinimumNumber = "must be %v or more"
	validation.MsgExpectedMaximumNumber = "must be no more than %v"
	validation.MsgExpectedMaxItems = "must have %d entries at most"
	validation.MsgExpectedOneOf = `must be one of "%s"`
}

// parameter is a place in a sentence; {{.Guard}} is none.
var parameter = regexp.MustCompile(`\{([a-z]+)\}`)

// coding knows a sentence again.
type coding struct {
	code    string
	pattern *regexp.Regexp // its groups are named after the parameters
}

// codings begins with the sentences that say most by themselves: "must be 1 to 64 of a-z" is
// none of "must be 1 to {most}".
var codings = sync.OnceValue(func() []coding {
	own := func(sentence string) int { return len(parameter.ReplaceAllString(sentence, "")) }
	all := slices.Clone(sentences)
	slices.SortStableFunc(all, func(a, b sentence) int { return own(b.words) - own(a.words) })
	var out []coding
	for _, s := range all {
		names := parameter.FindAllStringSubmatch(s.words, -1)
		pattern := regexp.QuoteMeta(parameter.Split(s.words, -1)[0])
		for i, rest := range parameter.Split(s.words, -1)[1:] {
			pattern += "(?P<" + names[i][1] + ">.+)" + regexp.QuoteMeta(rest)
		}
		out = append(out, coding{s.code, regexp.MustCompile("(?s)^" + pattern + "$")})
	}
	return out
})

// CodeOf names the sentence by which something was refused, and says what is in its places. The
// code of one that has no name is "".
func CodeOf(message string) (code string, params map[string]string) {
	for _, c := range codings() {
		found := c.pattern.FindStringSubmatch(message)
		if found == nil {
			continue
		}
		if names := c.pattern.SubexpNames()[1:]; len(names) > 0 {
			params = map[string]string{}
			for i, name := range names {
				params[name] = found[i+1]
			}
		}
		return c.code, params
	}
	return "", nil
}

// prefixed is the field's name in front of a sentence, as errors write it and sessions keep it.
var prefixed = regexp.MustCompile(`^[a-z0-9_.]+: `)

// failure names why core did not open a session, as it was written down; nil: it opened.
func failure(why string) *ErrorDetail {
	if why == "" {
		return nil
	}
	d := detail(&huma.ErrorDetail{Message: why})
	return &d
}

// ErrorDetail is what is wrong with one field; in the document it takes the place of huma's.
type ErrorDetail struct {
	Location string            `json:"location,omitempty" doc:"Where the field is, as in body.target or path.id; absent if it is about no field"`
	Message  string            `json:"message,omitempty" doc:"What is wrong and what would be right: a sentence without the field's name"`
	Code     string            `json:"code,omitempty" doc:"Names the sentence, for clients that say it in another language. Absent: it is none that people come to see. x-ownline-sentences has them all"`
	Params   map[string]string `json:"params,omitempty" doc:"What is in the sentence's places"`
}

// detail names a sentence if it has a name.
func detail(d *huma.ErrorDetail) ErrorDetail {
	code, params := CodeOf(prefixed.ReplaceAllString(d.Message, ""))
	return ErrorDetail{Location: d.Location, Message: d.Message, Code: code, Params: params}
}

// told is a problem as clients get it.
type told struct {
	*huma.ErrorModel
	Errors []ErrorDetail `json:"errors,omitempty"`
}

func coded(p *huma.ErrorModel) told {
	t := told{ErrorModel: p}
	for _, d := range p.Errors {
		t.Errors = append(t.Errors, detail(d))
	}
	return t
}

// listCodes puts the codes and their sentences into the document.
func listCodes(doc *huma.OpenAPI) {
	code := doc.Components.Schemas.Map()["ErrorDetail"].Properties["code"]
	all := map[string]any{}
	for _, s := range sentences {
		code.Enum, all[s.code] = append(code.Enum, s.code), s.words
	}
	slices.SortFunc(code.Enum, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	code.Extensions = map[string]any{"x-ownline-sentences": all}
}
