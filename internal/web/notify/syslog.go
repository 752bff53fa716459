package notify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// syslog sends to a syslog daemon. Over the network, lines are as RFC 5424 says, over TCP
// with their length in front (RFC 6587, section 3.4.1); the local socket takes lines as the C
// library writes them, which is what journald and every other daemon expects there.
type syslog struct {
	network, addr string // "unix" for either kind of Unix socket
	modern        bool   // RFC 5424
	facility      int
	tag           string
	host          string
}

var facilities = []string{
	"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp", "audit", "alert", "clock",
	"local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
}

func newSyslog(key string, u *url.URL) (*syslog, error) {
	wrong := func(detail string) error {
		return ownline.Invalid(key, "syslog: "+detail+"; right would be syslog:///dev/log, syslog://HOST:514 or syslog+tcp://HOST:601")
	}
	s := &syslog{network: "udp", addr: u.Host, modern: true, tag: "ownline-web", facility: 4, host: "-"}
	if name, err := os.Hostname(); err == nil && name != "" {
		s.host = strings.ToValidUTF8(name, "")
	}
	port := "514"
	_, transport, _ := strings.Cut(u.Scheme, "+")
	switch {
	case u.Host == "" && (transport == "" || transport == "unix"):
		s.network, s.addr, s.modern = "unix", u.Path, false
		if s.addr == "" || s.addr == "/" {
			s.addr = "/dev/log"
		}
	case u.Host == "" || strings.Trim(u.Path, "/") != "" || u.User != nil:
		return nil, wrong("where it is, is not right")
	case transport == "" || transport == "udp":
	case transport == "tcp":
		s.network, port = "tcp", "601"
	default:
		return nil, wrong(fmt.Sprintf("%q is not one of udp, tcp, unix", transport))
	}
	if s.network != "unix" && u.Port() == "" {
		s.addr = net.JoinHostPort(u.Hostname(), port)
	}
	for name, values := range u.Query() {
		switch value := values[0]; name {
		case "facility":
			s.facility = -1
			for i, f := range facilities {
				if f == value {
					s.facility = i
				}
			}
			if s.facility < 0 {
				return nil, wrong(fmt.Sprintf("%q is not one of %s", value, strings.Join(facilities, ", ")))
			}
		case "tag":
			if value == "" || len(value) > 32 || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' || r == '[' || r == ':' }) {
				return nil, wrong("tag must be 1 to 32 printable characters without space, [ and :")
			}
			s.tag = value
		case "format":
			if value != "rfc5424" && value != "local" {
				return nil, wrong(fmt.Sprintf("%q is not one of rfc5424, local", value))
			}
			s.modern = value == "rfc5424"
		default:
			return nil, wrong(fmt.Sprintf("there is no option %q", name))
		}
	}
	return s, nil
}

func (s *syslog) send(ctx context.Context, m message) error {
	conn, stream, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	line := s.line(m, time.Now())
	switch {
	case stream && s.modern:
		line = fmt.Sprintf("%d %s", len(line), line)
	case stream:
		line += "\n"
	}
	_, err = conn.Write([]byte(line))
	return err
}

// dial connects. stream: the connection keeps no bounds of messages.
func (s *syslog) dial(ctx context.Context) (conn net.Conn, stream bool, err error) {
	var d net.Dialer
	if s.network != "unix" {
		conn, err = d.DialContext(ctx, s.network, s.addr)
		return conn, s.network == "tcp", err
	}
	conn, err = d.DialContext(ctx, "unixgram", s.addr)
	if errors.Is(err, syscall.EPROTOTYPE) { // it is a socket of the other kind
		conn, err = d.DialContext(ctx, "unix", s.addr)
		return conn, true, err
	}
	return conn, false, err
}

// line writes a message as one line.
func (s *syslog) line(m message, now time.Time) string {
	priority := s.facility*8 + m.severity
	text := strings.ReplaceAll(m.text(), "\n", " | ")
	if !s.modern {
		return fmt.Sprintf("<%d>%s %s[%d]: %s", priority, now.Format(time.Stamp), s.tag, os.Getpid(), text)
	}
	// The three bytes say that the text is UTF-8.
	return fmt.Sprintf("<%d>1 %s %s %s %d %s - \ufeff%s", priority, now.UTC().Format("2006-01-02T15:04:05.000Z"), s.host, s.tag, os.Getpid(), m.kind, text)
}
