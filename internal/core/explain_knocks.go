package core

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/core/udpknock"
	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/link"
)

// meaning says what became of a knock, and what to do.
var meaning = map[string][2]string{
	"length":                      {"was no knock, or of another program", ""},
	"unknown_hint":                {"was of no device that this site knows now", "see that the device is not revoked, that its profile is this site's, and that its clock is right within ten minutes"},
	"seal":                        {"was changed on the way, or forged", "enrol the device again"},
	"time":                        {"was refused for its time", "set the device's clock"},
	"claimed_source_differs":      {"claimed another address than it came from", "let the device look up its address again; a proxy or VPN on the way rewrites it"},
	"fwknop_shape":                {"was no packet of an fwknop client", ""},
	"fwknop_hmac":                 {"was of no fwknop client that this site knows now", "see that the device is not revoked, and that the client has its newest stanza"},
	"claimed_source_missing":      {"did not say which address it comes from, as its device must", "knock with the address, or drop require_claimed_source of the device"},
	"source_not_public":           {"came from an address that is never let in", ""},
	"clock_unknown":               {"came when no clock was known", ""},
	"web_not_connected":           {"came when ownline-web was not connected", ""},
	"replay":                      {"had come before: one that comes by MQTT, too, counts once", ""},
	"busy":                        {"came when too many waited", "knock again"},
	link.RefusedIgnored:           {"was not judged by ownline-web", "see its log"},
	link.IgnoredUnknown:           {"was of a device that was removed", "enrol the device again"},
	link.IgnoredRevoked:           {"was of a device that counts no more", "enrol it again if it should: it is revoked, or its user is disabled"},
	link.IgnoredMessage:           {"was of an fwknop client, and asks for what is not taken", "let the client use its stanza as it is; ownline-web's log says what is wrong"},
	udpknock.Waiting:              {"waits for ownline-web", ""},
	knock.Opened.String():         {"opened what its device is granted", ""},
	knock.Renewed.String():        {"renewed what was open", ""},
	knock.Inside.String():         {"was answered by \"inside\"", ""},
	link.RefusedPolicy:            {"was refused by ownline-web for where it came from", "see the audit log there: it says by which list of countries, providers or networks"},
	knock.Refused.String():        {"was refused by ownline-web", "see the audit log there: it says why"},
	knock.NothingGranted.String(): {"named nothing that its device is granted", "grant it a service, with \"automatic\" if the knock names none"},
}

// knocks tells what came to the door from there.
func (e *explaining) knocks(ctx context.Context) {
	bits := 32
	if e.Source.Is6() {
		bits = e.ipv6Prefix()
	}
	network, err := e.Source.Prefix(bits)
	if err != nil {
		return
	}
	if e.Knocks = e.recent(network.Contains); len(e.Knocks) > 0 {
		e.judge()
		return
	}
	if len(e.Sessions) > 0 {
		return
	}
	text := fmt.Sprintf("No knock from there has reached core since it started, %s ago", time.Since(e.started).Round(time.Second))
	if k, err := e.driver.KnockCounters(ctx); err == nil && k.Garbage > 0 {
		text += fmt.Sprintf(" (the kernel sorted out %d datagrams without a valid hint, of whomever)", k.Garbage)
	}
	e.problem(fmt.Sprintf("see that the device knocks at this router's public address and port %d/udp, from this address, with a profile of this site and a clock that is right within ten minutes; in networks that block it, knock by MQTT", e.door.Port()), "%s.", text)
}

// judge tells what became of the last knock, or of the last that was about the service that is asked for.
func (e *explaining) judge() {
	last, about := e.Knocks[0], true
	if e.Service != "" {
		about = false
		for _, k := range e.Knocks {
			// Of what has not come to its services, all that it asked for is refused.
			if about = len(k.Services) == 0 || slices.ContainsFunc(k.Services, e.asked); about {
				last = k
				break
			}
		}
	}
	when := fmt.Sprintf("The last knock from there, %s ago, ", time.Since(last.At).Round(time.Second))
	if !about {
		text := fmt.Sprintf("%swas not about %q, but about other services", when, e.Service)
		if len(e.Sessions) > 0 {
			e.note("%s.", text)
		} else {
			e.problem("let the device knock for it, or grant it to its user, \"automatic\" if knocks name no service; and see that it has a target of this family", "%s.", text)
		}
		return
	}
	for _, s := range last.Services {
		if e.Service != "" && !e.asked(s) {
			continue
		}
		if s.Refused != "" {
			why, fix := refusedFor(s.Refused)
			e.problem(fix, "%sdid not open %q: %s.", when, s.Service, why)
			continue
		}
		// The knock as a whole may have come to less: it was judged too late for an answer, or was refused what it named.
		did := knock.Opened.String()
		if last.Outcome == knock.Renewed.String() {
			did = last.Outcome
		}
		e.note("%s%s %q.", when, did, s.Service)
	}
	if len(last.Services) > 0 {
		return
	}
	said := meaning[last.Outcome]
	text := when + said[0]
	if skew := last.Skew.Round(time.Second); skew.Abs() > e.cfg.Knock.MaxClockSkew {
		text += fmt.Sprintf(" (its clock differs by %s)", skew)
	}
	if said[1] == "" {
		e.note("%s.", text)
	} else {
		e.problem(said[1], "%s.", text)
	}
}

func (e *explaining) asked(s udpknock.Judged) bool {
	return e.Service == s.Service || e.Service == s.ServiceID.String()
}

// notApplied is why a service was not opened that web let in.
const notApplied = "not_applied"

// refusedFor says why one service was not opened, and what to do.
func refusedFor(reason string) (text, fix string) {
	fix = "see ownline-web's audit log: it says why"
	switch reason {
	case link.RefusedByList + "web":
		return "the allow list of its server does not let it in from there", fix // in web.yaml
	case link.RefusedByList + "site", link.RefusedByList + "grant", link.RefusedByList + "device":
		return fmt.Sprintf("the allow list of its %s does not let it in from there", strings.TrimPrefix(reason, link.RefusedByList)), fix
	case link.RefusedImpossible:
		return "no port is free, it has no target of this family, or the like", fix
	case notApplied:
		return "this router could not open it", "see the log of core"
	}
	return fmt.Sprintf("ownline-web refused it as %q", reason), fix
}

// outcomeOf is a reason of web's to ignore a knock, as far as there are words for it.
func outcomeOf(ignored string) string {
	if meaning[ignored][0] == "" {
		return link.RefusedIgnored
	}
	return ignored
}

// recent are the last knocks from somewhere.
func (e *explaining) recent(from func(netip.Addr) bool) []udpknock.Seen {
	seen := e.door.Recent(from)
	if len(seen) == 0 {
		return e.Knocks // as JSON has it, none
	}
	return seen[:min(len(seen), mostKnocks)]
}
