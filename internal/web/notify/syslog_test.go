package notify

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/leodido/go-syslog/v4/rfc5424"

	"github.com/ownline/ownline/internal/ownline"
)

// told sends two pieces of news, as one message, to a syslog at url.
func told(t *testing.T, url string) {
	t.Helper()
	c := made(t, Options{}, Channel{URL: ownline.Secret(url)}).channels[0]
	m := c.texts.message([]ownline.News{{Kind: ownline.LoginFailed, User: "ana", Count: 2}, {Kind: ownline.LoginFailed, User: "bób"}}, 3, 0)
	if err := c.send(t.Context(), m); err != nil {
		t.Error(err)
	}
}

const toldText = "3 sign-ins failed: | - 2 sign-ins as ana failed | - A sign-in as bób failed"

// modern checks a line by another implementation of RFC 5424.
func modern(t *testing.T, line string) {
	t.Helper()
	m, err := rfc5424.NewParser().Parse([]byte(line))
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	s, ok := m.(*rfc5424.SyslogMessage)
	if !ok || s.Message == nil || strings.TrimPrefix(*s.Message, "\ufeff") != toldText {
		t.Fatalf("got %+v of %q", s, line)
	}
	host, _ := os.Hostname()
	if *s.FacilityMessage() == "" || *s.Facility != 4 || *s.Severity != 4 || *s.MsgID != "login.failed" || *s.Appname != "ownline-web" ||
		*s.ProcID != fmt.Sprint(os.Getpid()) || *s.Hostname != host || time.Since(*s.Timestamp).Abs() > time.Minute {
		t.Errorf("got %+v", s)
	}
}

func TestSyslogUDP(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	told(t, "syslog://"+conn.LocalAddr().String())
	modern(t, read(t, conn))
}

func read(t *testing.T, conn net.PacketConn) string {
	t.Helper()
	b := make([]byte, 4096)
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, _, err := conn.ReadFrom(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func TestSyslogTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	told(t, "syslog+tcp://"+l.Addr().String())
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	size, err := r.ReadString(' ')
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSuffix(size, " "))
	if err != nil {
		t.Fatal(err)
	}
	line := make([]byte, n)
	if _, err := io.ReadFull(r, line); err != nil {
		t.Fatal(err)
	}
	modern(t, string(line))
	if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
		t.Errorf("and then %q, %v", rest, err)
	}
}

// local is a line as the C library writes it.
var local = regexp.MustCompile(`^<(\d+)>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d own\[\d+\]: (.*)$`)

func TestSyslogSocket(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	url := "syslog://" + name + "?facility=local3&tag=own"
	if err := made(t, Options{}, Channel{URL: ownline.Secret(url)}).Test(t.Context(), "syslog"); err == nil || err.Error() != "its socket is not there" {
		t.Errorf("without a daemon: %v", err)
	}
	conn, err := net.ListenPacket("unixgram", name)
	if err != nil {
		t.Fatal(err)
	}
	told(t, url)
	line := read(t, conn)
	if m := local.FindStringSubmatch(line); m == nil || m[1] != fmt.Sprint(19*8+4) || m[2] != toldText {
		t.Errorf("got %q", line)
	}
	told(t, "syslog://"+name+"?format=rfc5424")
	modern(t, read(t, conn))
	conn.Close()
	os.Remove(name)

	// Some daemons listen on the other kind of socket.
	l, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	told(t, url)
	stream, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	b, err := io.ReadAll(stream)
	if m := local.FindStringSubmatch(strings.TrimSuffix(string(b), "\n")); err != nil || m == nil || !strings.HasSuffix(string(b), "\n") {
		t.Errorf("got %q, %v", b, err)
	}
}
