package core

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/core/udpknock"
	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// meaning says what became of a knock, and what to do; "": it has no words for it. (A map of it would be made by 3 KB of code.)
func meaning(outcome string) (said [2]string) {
	switch outcome {
	case "length":
		said = [2]string{"was no knock, or of another program", "see which program sends there"}
	case "unknown_hint":
		said = [2]string{"was of no device that this site knows now", "see that the device is not revoked, that its profile is this site's, and that its clock is right within ten minutes"}
	case "seal":
		said = [2]string{"was changed on the way, or forged", "see what changes packets on the way; if that device can't knock from elsewhere either, enrol it again"}
	case "time":
		said = [2]string{"was refused for its time", "set the device's clock"}
	case "claimed_source_differs":
		said = [2]string{"claimed another address than it came from", "let the device look up its address again; a proxy or VPN on the way rewrites it"}
	case "fwknop_shape":
		said = [2]string{"was no packet of an fwknop client", "see which program sends there"}
	case "fwknop_hmac":
		said = [2]string{"was of no fwknop client that this site knows now", "see that the device is not revoked, and that the client has its newest stanza"}
	case "claimed_source_missing":
		said = [2]string{"did not say which address it comes from, as its device must", "knock with the address, or drop require_claimed_source of the device"}
	case "source_not_public":
		said = [2]string{"came from an address that is never let in", "use the address that the client has on the internet"}
	case "clock_unknown":
		said = [2]string{"came when no clock was known", "see that the router's clock is known, and knock again"}
	case "web_not_connected":
		said = [2]string{"came when ownline-web was not connected", "see that ownline-web is connected, and knock again"}
	case "replay":
		said = [2]string{"had come before: one that comes by MQTT, too, counts once", "knock again: each counts once"}
	case "busy":
		said = [2]string{"came when too many waited", "knock again"}
	case link.RefusedIgnored:
		said = [2]string{"was not judged by ownline-web", "see its log"}
	case link.IgnoredUnknown:
		said = [2]string{"was of a device that was removed", "enrol the device again"}
	case link.IgnoredRevoked:
		said = [2]string{"was of a device that counts no more", "enrol it again if it should: it is revoked, or its user is disabled"}
	case link.IgnoredMessage:
		said = [2]string{"was of an fwknop client, and asks for what is not taken", "let the client use its stanza as it is; ownline-web's log says what is wrong"}
	case udpknock.Waiting:
		said = [2]string{"waits for ownline-web", ""}
	case knock.Opened.String():
		said = [2]string{"opened what its device is granted", ""}
	case knock.Renewed.String():
		said = [2]string{"renewed what was open", ""}
	case knock.Inside.String():
		said = [2]string{"was answered by \"inside\"", ""}
	case link.RefusedPolicy:
		said = [2]string{"was refused by ownline-web for where it came from", "see the audit log there: it says by which list of countries, providers or networks"}
	case knock.Refused.String():
		said = [2]string{"was refused by ownline-web", "see the audit log there: it says why"}
	case link.RefusedNotGranted:
		said = [2]string{"named nothing that its device is granted", "grant it a service, with \"automatic\" if the knock names none"}
	}
	return said
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
	seen := e.door.Recent(network.Contains)
	e.show(seen)
	e.obstacles("knocks from there", "Knocks from there", " do not get in, or are not answered. ", e.way, false)
	if len(seen) > 0 {
		e.judge(seen)
		return
	}
	if e.open() {
		return
	}
	text := fmt.Sprintf("No knock from there has reached core since it started, %s ago", time.Since(e.started).Round(time.Second))
	if k, err := e.driver.KnockCounters(ctx); err == nil && k.Garbage > 0 {
		text += fmt.Sprintf(" (the kernel sorted out %d datagrams without a valid hint, of whomever)", k.Garbage)
	}
	fix := unheard(e.door.Port(), e.door.FwknopPort())
	if shut(e.way) {
		fix = "mend what is in their way, and knock again"
	}
	e.problem(fix, "%s.", text)
}

// unheard says what to do when no knock was heard; the port of fwknop's clients may be 0.
func unheard(port, fwknop uint16) string {
	at := fmt.Sprintf("port %d/udp", port)
	if fwknop != 0 {
		at += fmt.Sprintf(" (an fwknop client: at port %d/udp, with its newest stanza)", fwknop)
	}
	return "see that the device knocks at this router's public address and " + at + ", from this address, with a profile of this site and a clock that is right within ten minutes; in networks that block it, knock by MQTT"
}

// show keeps what is printed of the knocks.
func (e *explaining) show(seen []udpknock.Seen) {
	e.Knocks = append(e.Knocks, udpknock.Fair(seen, mostKnocks)...)
}

// judge tells what became of the knocks that came, the newest of which is first: what came last, and, if anybody
// could have sent that (what was recorded included), the last that the device itself sent.
func (e *explaining) judge(seen []udpknock.Seen) {
	var since []udpknock.Seen // then: what anybody can send, by its kind, the newest of each
	such := make(map[string]int)
	var last, other *udpknock.Seen
	for i := range seen {
		k := &seen[i]
		switch {
		case k.Device.IsZero() || k.Outcome == link.RefusedReplay || k.Outcome == link.RefusedTime:
			if other != nil {
				continue
			}
			of := k.Outcome + k.Hint.String()
			if such[of]++; such[of] == 1 {
				since = append(since, *k)
			}
			continue
		case e.about(k):
			last = k
		case other == nil:
			other = k
		}
		if last != nil {
			break
		}
	}
	which := "The last knock"
	for _, k := range since {
		e.anybodys(which, k, such[k.Outcome+k.Hint.String()])
		which = "Another"
	}
	if len(since) > 0 {
		which = "The last that was genuine and new"
	}
	switch {
	case last != nil:
		e.genuine(which, last)
	case other != nil:
		text := fmt.Sprintf("%swas not about %q, but about other services", ago(which, other), e.Service)
		if e.open() {
			e.note("%s.", text)
		} else {
			e.problem("let the device knock for it, or grant it to its user, \"automatic\" if knocks name no service; and see that it has a target of this family", "%s.", text)
		}
	}
}

// about reports whether a knock was about the service that is asked for. Of what has not come to its services, all that
// it asked for is refused.
func (e *explaining) about(k *udpknock.Seen) bool {
	return e.Service == "" || len(k.Services) == 0 || slices.ContainsFunc(k.Services, e.asked)
}

func ago(which string, k *udpknock.Seen) string {
	return fmt.Sprintf("%s from there, %s ago, ", which, time.Since(k.At).Round(time.Second))
}

// anybodys tells of the newest of several datagrams that anybody could have sent.
func (e *explaining) anybodys(which string, k udpknock.Seen, several int) {
	said := meaning(k.Outcome)
	text := ago(which, &k) + said[0]
	if !k.Hint.IsZero() {
		text = fmt.Sprintf("%scarries the hint of %s, as anybody's may, and is not genuine: it %s", ago(which, &k), k.Hint, said[0])
	}
	text += e.skew(&k)
	if several > 1 {
		text += fmt.Sprintf(" (%d such came)", several)
	}
	noise := k.Outcome == link.RefusedReplay || k.Outcome == link.RefusedLength || k.Outcome == link.RefusedShape
	switch {
	case k.Gone:
		e.problem(enrolAnew, "%s%s.", text, keyGone)
	case noise && e.open(): // it keeps nobody out
		e.note("%s.", text)
	default:
		e.problem(said[1], "%s.", text)
	}
}

// What is said of a knock whose device was revoked, or has a new key.
const (
	keyGone   = ", but its device's key counts no more"
	enrolAnew = "it was revoked or has a new key since: enrol it anew"
)

// skew tells how far a device's clock is off, if that is too far.
func (e *explaining) skew(k *udpknock.Seen) string {
	if skew := k.Skew.Round(time.Second); skew.Abs() > e.cfg.Knock.MaxClockSkew {
		return fmt.Sprintf(" (its clock differs by %s)", skew)
	}
	return ""
}

// genuine tells what became of a knock that its device sent.
func (e *explaining) genuine(which string, k *udpknock.Seen) {
	when := ago(which, k)
	gone := ""
	if k.Gone {
		gone = keyGone
	}
	for _, s := range k.Services {
		if e.Service != "" && !e.asked(s) {
			continue
		}
		if s.Refused != "" {
			why, fix := refusedFor(s.Refused)
			if k.Gone {
				fix = enrolAnew
			}
			e.problem(fix, "%sdid not open %q: %s%s.", when, s.Service, why, gone)
			continue
		}
		// The knock as a whole may have come to less: it was judged too late for an answer, or was refused what it named.
		did := knock.Opened.String()
		if k.Outcome == knock.Renewed.String() {
			did = k.Outcome
		}
		why, fix := e.ended(s, k.Gone)
		switch text := fmt.Sprintf("%s%s %q", when, did, s.Service); {
		case why != "":
			e.problem(fix, "%s, which was ended since: %s.", text, why)
		case k.Gone:
			e.problem(enrolAnew, "%s%s.", text, gone)
		default:
			e.note("%s.", text)
		}
	}
	if len(k.Services) > 0 {
		return
	}
	said := meaning(k.Outcome)
	text := when + said[0] + e.skew(k)
	switch {
	case k.Gone:
		e.problem(enrolAnew, "%s%s.", text, gone)
	case said[1] == "":
		e.note("%s.", text)
	default:
		e.problem(said[1], "%s.", text)
	}
}

// ended says why a session ended that a knock opened, and what to do; "": it is there.
func (e *explaining) ended(s udpknock.Judged, gone bool) (why, fix string) {
	if s.Session.IsZero() {
		return "", ""
	}
	reason, lives := e.book.Lives(s.Session)
	switch {
	case lives:
		return "", ""
	case gone:
		return "revoked, or its device has a new key", enrolAnew
	case reason != "":
		return string(reason) + " on this router", "knock again"
	case !s.Until.After(time.Now()):
		return string(ownline.Expired), "knock again"
	}
	return "by ownline-web", "knock again; ownline-web's audit log says why it was ended"
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
	case link.RefusedNoClaim:
		return "it did not say which address it comes from, as its grant requires", "knock with the address, or drop require_claimed_source of the grant"
	case link.RefusedImpossible:
		return "no port is free, it has no target of this family, or the like", fix
	case notApplied:
		return "this router could not open it", "see the log of core"
	}
	return fmt.Sprintf("ownline-web refused it as %q", reason), fix
}

// outcomeOf is a reason of web's to ignore a knock, as far as there are words for it.
func outcomeOf(ignored string) string {
	if meaning(ignored)[0] == "" {
		return link.RefusedIgnored
	}
	return ignored
}
