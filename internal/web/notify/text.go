package notify

import (
	"fmt"
	"mime"
	"net/netip"
	"strings"
	"time"
	"unicode"

	"github.com/ownline/ownline/internal/ownline"
)

// message is what is sent. Its first line says it all.
type message struct {
	kind     ownline.NewsKind
	count    int // how much news it tells
	untold   int // how much that was given up it speaks of
	severity int // of syslog: 4 warning, 5 notice, 6 informational
	lines    []string
	news     []ownline.News
	arrived  map[string]bool // where it has arrived already, of several places
}

// maxText is as much as every service takes, in bytes.
const maxText = 1800

func (m message) text() string {
	s := strings.Join(m.lines, "\n")
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return s
}

// subject is the first line as a header of mail.
func (m message) subject() string { return mime.QEncoding.Encode("utf-8", "Ownline: "+m.lines[0]) }

// writer puts news into words.
type writer struct {
	url string // of the pages; "": unknown
	geo Geo
}

// message tells news of one kind: the first few in words, and how many there were.
func (w writer) message(first []ownline.News, count, untold int) message {
	m := message{kind: first[0].Kind, count: count, untold: untold, severity: severity(first[0].Kind), news: first, arrived: make(map[string]bool)}
	if len(first) == 1 && count == max(first[0].Count, 1) {
		m.lines = append([]string{w.one(first[0])}, w.advice(first[0])...)
	} else {
		m.lines = []string{fmt.Sprintf("%d %s:", count, plural(m.kind))}
		told := 0
		for _, n := range first {
			m.lines = append(m.lines, "- "+w.one(n))
			told += max(n.Count, 1)
		}
		if count > told {
			m.lines = append(m.lines, fmt.Sprintf("and %d more", count-told))
		}
		m.lines = append(m.lines, w.advice(ownline.News{Kind: m.kind})...)
	}
	if untold > 0 {
		m.lines = append(m.lines, fmt.Sprintf("Before this, %d of the news could not be delivered.", untold))
	}
	return m
}

func (w writer) test() message {
	m := message{kind: "test", count: 1, severity: 6, lines: []string{"This is a test: Ownline can reach you here."}, arrived: make(map[string]bool)}
	if w.url != "" {
		m.lines = append(m.lines, w.url)
	}
	return m
}

func severity(k ownline.NewsKind) int {
	switch k {
	case ownline.SessionFailed, ownline.LoginFailed, ownline.LoginThrottled, ownline.DeviceNewCountry, ownline.SiteDown:
		return 4
	case ownline.SessionEnded, ownline.LoginSucceeded:
		return 6
	}
	return 5
}

func plural(k ownline.NewsKind) string {
	switch k {
	case ownline.SessionOpened:
		return "sessions opened"
	case ownline.SessionEnded:
		return "sessions ended"
	case ownline.SessionFailed:
		return "sessions could not be opened"
	case ownline.LoginSucceeded:
		return "sign-ins"
	case ownline.LoginFailed:
		return "sign-ins failed"
	case ownline.LoginThrottled:
		return "sign-ins were refused because there were too many"
	case ownline.DeviceEnrolled:
		return "devices enrolled"
	case ownline.DeviceRevoked:
		return "devices revoked"
	case ownline.DeviceNewCountry:
		return "knocks from new countries"
	case ownline.DeviceNewNetwork:
		return "knocks from new networks"
	case ownline.InvitationCreated:
		return "invitations created"
	case ownline.InvitationRedeemed:
		return "invitations used"
	case ownline.SiteDown:
		return "sites can't be reached"
	case ownline.SiteUp:
		return "sites are reached again"
	}
	return string(k)
}

// one tells news in one line.
func (w writer) one(n ownline.News) string {
	user, device, at := clean(n.User), clean(n.Device), ""
	if n.Site != "" && n.Service != "" || n.Device != "" && n.Site != "" {
		at = " at " + clean(n.Site)
	}
	who, by := user, ""
	if n.By != "" {
		who, by = clean(n.By), " by "+clean(n.By)
	}
	whose := user + "'s "
	from, until := w.from(n.Source), ""
	if !n.Until.IsZero() {
		until = ", until " + clock(n.Until)
	}
	detail := ""
	if n.Detail != "" {
		detail = ": " + clean(n.Detail)
	}
	switch n.Kind {
	case ownline.SessionOpened:
		switch {
		case device != "":
			who = whose + device
		case n.By != "":
			return fmt.Sprintf("%s opened %s%s for %s%s%s", who, clean(n.Service), at, user, from, until)
		}
		return fmt.Sprintf("%s opened %s%s%s%s", who, clean(n.Service), at, from, until)
	case ownline.SessionEnded:
		return fmt.Sprintf("%ssession to %s%s%s ended%s%s", whose, clean(n.Service), at, from, by, ended(n.Detail))
	case ownline.SessionFailed:
		return fmt.Sprintf("%ssession to %s%s%s failed%s", whose, clean(n.Service), at, from, detail)
	case ownline.LoginSucceeded:
		return user + " signed in" + from + detail
	case ownline.LoginFailed:
		return tries(n, "a sign-in", "sign-ins") + account(n) + from + " failed" + detail
	case ownline.LoginThrottled:
		return "Somebody tries to sign in" + account(n) + from + " again and again: " + strings.ToLower(tries(n, "a try was", "tries were")) + " refused"
	case ownline.DeviceEnrolled:
		return fmt.Sprintf("%sdevice %s%s was enrolled%s%s", whose, device, at, by, detail)
	case ownline.DeviceRevoked:
		return fmt.Sprintf("%sdevice %s%s was revoked%s%s", whose, device, at, by, detail)
	case ownline.DeviceNewCountry:
		return fmt.Sprintf("%s%s knocked%s%s, a country that is new to it", whose, device, at, from)
	case ownline.DeviceNewNetwork:
		return fmt.Sprintf("%s%s knocked%s%s, a network that is new to it", whose, device, at, from)
	case ownline.InvitationCreated:
		return fmt.Sprintf("%s made an invitation to %s%s%s", who, clean(n.Service), at, until)
	case ownline.InvitationRedeemed:
		return fmt.Sprintf("%sinvitation to %s%s was used%s%s", whose, clean(n.Service), at, from, until)
	case ownline.SiteDown:
		return fmt.Sprintf("The site %s can't be reached%s", clean(n.Site), detail)
	case ownline.SiteUp:
		return fmt.Sprintf("The site %s is reached again%s", clean(n.Site), detail)
	}
	return string(n.Kind)
}

// advice says what can be done about it.
func (w writer) advice(n ownline.News) []string {
	page := func(path, otherwise string) string {
		if w.url == "" {
			return otherwise
		}
		return w.url + path
	}
	switch n.Kind {
	case ownline.SessionOpened, ownline.InvitationRedeemed:
		if n.Session.IsZero() {
			return []string{"To end them: " + page("/", "ownline sessions, then ownline close ID")}
		}
		return []string{"To end it: " + page("/", "ownline close "+n.Session.String())}
	case ownline.LoginSucceeded:
		name := "NAME"
		if n.User != "" {
			name = clean(n.User)
		}
		return []string{"If that is not right, change the password, which signs out everywhere: " + page("/", "ownline-web user passwd "+name+" on the server")}
	case ownline.LoginThrottled:
		return []string{"Nobody is locked out, and nothing has to be done."}
	case ownline.DeviceEnrolled, ownline.DeviceNewCountry, ownline.DeviceNewNetwork:
		name := "USER/DEVICE"
		if n.Device != "" {
			name = clean(n.User) + "/" + clean(n.Device)
		}
		return []string{"If that is not right, revoke the device: " + page("/", "ownline-web device revoke "+name+" on the server")}
	case ownline.SiteDown:
		return []string{"Open sessions go on and end on time; new ones can't open."}
	}
	return nil
}

// from says where a source is.
func (w writer) from(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	a, text := p.Addr(), p.String()
	if p.IsSingleIP() {
		text = a.String()
	}
	var where []string
	if w.geo != nil {
		if _, name, ok := w.geo.ASN(a); ok && name != "" {
			where = append(where, clean(name))
		}
		if country, ok := w.geo.Country(a); ok {
			where = append(where, clean(country))
		}
	}
	if len(where) > 0 {
		text += " (" + strings.Join(where, ", ") + ")"
	}
	return " from " + text
}

func ended(reason string) string {
	switch ownline.EndReason(reason) {
	case ownline.Expired:
		return ": its time was over"
	case ownline.Revoked:
		return ": it is not allowed any more"
	case ownline.Flushed:
		return ": all were ended"
	}
	return ""
}

func account(n ownline.News) string {
	if n.User == "" {
		return " with an unknown name"
	}
	return " as " + clean(n.User)
}

// tries is one of what is named, or several.
func tries(n ownline.News, one, several string) string {
	if n.Count > 1 {
		return fmt.Sprintf("%d %s", n.Count, several)
	}
	return strings.ToUpper(one[:1]) + one[1:]
}

// clock is a time as people in the server's zone read it.
func clock(t time.Time) string {
	t = t.Local()
	if time.Until(t).Abs() < 12*time.Hour {
		return t.Format("15:04 MST")
	}
	return t.Format("Mon 2 Jan 15:04 MST")
}

// clean makes a word that somebody has chosen harmless: it stays in its line, is not long,
// and calls nobody ("@everyone") where messages can.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), r == unicode.ReplacementChar:
			return ' '
		case r == '@':
			return '＠'
		case r == '<':
			return '‹'
		case r == '>':
			return '›'
		case unicode.In(r, unicode.Cf): // turns the direction of writing, or is not seen
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if rs := []rune(s); len(rs) > 160 {
		s = string(rs[:160]) + "…"
	}
	return s
}
