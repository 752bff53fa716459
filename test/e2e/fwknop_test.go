package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

const fwknopPort = 62201

// fwknopLab is a world with Debian's fwknop on its first client.
type fwknopLab struct {
	*suite
	program string
	capture *bed.Capture // of what leaves the first client for the port
}

// fwknopClient is a device, and its file.
type fwknopClient struct {
	ID     string
	Client struct {
		Stanza   string
		Commands []struct{ Service, Command string }
	} `json:"fwknop_client"`
	rc string
}

func startFwknop(t *testing.T, webYAML string) *fwknopLab {
	t.Helper()
	program, err := exec.LookPath("fwknop")
	if err != nil {
		t.Skip("the package fwknop-client would add fwknop")
	}
	l := &fwknopLab{suite: start(t, world.Options{CoreYAML: fmt.Sprintf("knock: {fwknop_listen: \"[::]:%d\"}\n", fwknopPort), WebYAML: webYAML}), program: program}
	if l.capture, err = l.Bed.Client1.Capture(l.Bed.Client1.Link, bed.Filter{Protocol: bed.UDP, Port: fwknopPort}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.capture.Close() })
	return l
}

func (l *fwknopLab) enrol(digest string, more world.Map) *fwknopClient {
	l.t.Helper()
	l.devices++
	in := world.Map{"site": l.Site, "name": fmt.Sprintf("fwknop %s %d", digest, l.devices), "fwknop": digest}
	for k, v := range more {
		in[k] = v
	}
	var c fwknopClient
	l.call("POST", "/devices", in, &c)
	c.rc = filepath.Join(l.t.TempDir(), "rc")
	l.write(&c, c.Client.Stanza)
	return &c
}

func (l *fwknopLab) write(c *fwknopClient, stanza string) {
	l.t.Helper()
	if err := os.WriteFile(c.rc, []byte(stanza), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

var stanzaName = regexp.MustCompile(`(?m)^\[(.+)\]$`)

// run has the real client send a packet, which it returns.
func (l *fwknopLab) run(c *fwknopClient, args ...string) []byte {
	l.t.Helper()
	said := l.client(c, args...)
	ctx, cancel := context.WithTimeout(l.t.Context(), 20*time.Second)
	defer cancel()
	p, err := l.capture.Next(ctx)
	if err != nil {
		l.t.Fatalf("fwknop %s sent nothing: %v\n%s", strings.Join(args, " "), err, said)
	}
	return p.Payload
}

// client runs the real client, and returns what it said.
func (l *fwknopLab) client(c *fwknopClient, args ...string) string {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 20*time.Second)
	defer cancel()
	name := stanzaName.FindStringSubmatch(c.Client.Stanza)[1]
	cmd := l.Bed.Client1.Command(ctx, l.program, append([]string{"--rc-file", c.rc, "--no-save-args", "-n", name, "-D", l.Bed.Router.IPv4.String()}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+filepath.Dir(c.rc))
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := l.Bed.Client1.Run(cmd); err != nil {
		l.t.Fatalf("fwknop %s: %v\n%s", strings.Join(args, " "), err, said.String())
	}
	return said.String()
}

// opens has a packet sent, and waits for the sessions that it opens or renews until then.
func (l *fwknopLab) opens(c *fwknopClient, d time.Duration, services []string, args ...string) []world.Session {
	l.t.Helper()
	sent := time.Now()
	l.run(c, args...)
	return l.waitFor(fmt.Sprintf("fwknop %s", strings.Join(args, " ")), sent, d, services)
}

// waitFor waits until exactly these services have sessions, of the first client, that last for d
// from some moment after sent.
func (l *fwknopLab) waitFor(what string, sent time.Time, d time.Duration, services []string) (live []world.Session) {
	l.t.Helper()
	eventually(l.t, 20*time.Second, what, func() bool {
		live = l.sessions()
		return len(live) == len(services) && !slices.ContainsFunc(live, func(s world.Session) bool {
			return s.State != "active" || !slices.Contains(services, s.Service) || s.Source.Addr() != l.Bed.Client1.IPv4 ||
				s.Expires.Before(sent.Add(d)) || s.Expires.After(time.Now().Add(d))
		})
	})
	return live
}

// counted waits until core has dropped a packet more for a reason, after send.
func (l *fwknopLab) counted(what, reason string, send func()) {
	l.t.Helper()
	before := l.status().Knocks.Dropped[reason]
	send()
	eventually(l.t, 20*time.Second, what+" is dropped: "+reason, func() bool { return l.status().Knocks.Dropped[reason] > before })
}

// nothing has packets sent that must open nothing: core and web take a device's packets one after
// the other, so that a good one behind them tells when they are through.
func (l *fwknopLab) nothing(c *fwknopClient, what string, send func()) {
	l.t.Helper()
	l.flush()
	send()
	sent := time.Now()
	l.run(c, "-A", "udp/20053", "-s", "-f", "77")
	l.waitFor(what+", and a good packet behind it", sent, 77*time.Second, []string{l.udp})
	l.flush()
}

func (l *fwknopLab) flush() {
	l.t.Helper()
	l.call("DELETE", "/sessions?all=true", nil, nil)
}

// Invariants 2, 3 and 4, with clients that Ownline does not know: what Debian's fwknop sends opens
// what it names and is granted, to its address, for as long as it says and may.
func TestFwknop(t *testing.T) {
	l := startFwknop(t, "")
	l.grant(l.echo, world.Map{"public_port": 20443, "max_duration": "1h"})
	l.grant(l.udp, world.Map{"public_port": 20053, "automatic": true})
	l.grant(l.web, nil)
	client, target := l.Bed.Client1.IPv4.String(), netip.AddrPortFrom(l.Bed.Lan.IPv4, bed.EchoPort)
	door := l.public(false, 20443)

	for _, digest := range []string{"sha256", "sha384", "sha512", "sha3_256", "sha3_512"} {
		t.Run(digest, func(t *testing.T) {
			c := l.enrol(digest, nil)
			wantState(t, l.Bed.Client1, door, false)
			l.opens(c, 30*time.Minute, []string{l.echo}, "-A", "tcp/20443", "-a", client)
			wantState(t, l.Bed.Client1, door, true)
			wantState(t, l.Bed.Client2, door, false)
			wantState(t, l.Bed.Stranger, door, false)
			l.flush()
			wantState(t, l.Bed.Client1, door, false)
		})
	}

	c := l.enrol("sha256", nil)
	for _, o := range c.Client.Commands { // as they are shown, with what the stanza says
		args := strings.Fields(o.Command)
		live := l.opens(c, 30*time.Minute, []string{map[string]string{"echo": l.echo, "udp-echo": l.udp, "page": l.web}[o.Service]}, args[3:]...)
		if o.Service == "page" {
			wantState(t, l.Bed.Client1, l.public(false, live[0].PublicPort), true)
		}
		l.flush()
	}
	if n := len(c.Client.Commands); n != 3 {
		t.Errorf("%d commands are shown: %+v", n, c.Client.Commands)
	}

	minutes := func(n int) time.Duration { return time.Duration(n) * time.Minute }
	for _, tc := range []struct {
		name     string
		args     []string
		services []string
		d        time.Duration
	}{
		{"wherever it comes from", []string{"-A", "tcp/20443", "-s"}, []string{l.echo}, minutes(30)},
		{"by its target", []string{"-A", "tcp/20443", "-N", target.String(), "-s"}, []string{l.echo}, minutes(30)},
		{"by its name", []string{"-A", "tcp/20443", "-N", "echo", "-s"}, []string{l.echo}, minutes(30)},
		{"by its name, at a port of the range", []string{"-A", "tcp/20777", "-N", "page", "-s"}, []string{l.web}, minutes(30)},
		{"by another option for its port", []string{"-A", "tcp/80", "--nat-port", "20778", "-N", "page", "-s"}, []string{l.web}, minutes(30)},
		{"two ports", []string{"-A", "tcp/20443,udp/20053", "-s"}, []string{l.echo, l.udp}, minutes(30)},
		{"for less", []string{"-A", "tcp/20443", "-s", "-f", "90"}, []string{l.echo}, 90 * time.Second},
		{"for less, by its target", []string{"-A", "tcp/20443", "-N", target.String(), "-s", "-f", "45"}, []string{l.echo}, 45 * time.Second},
		{"for more than the grant has", []string{"-A", "tcp/20443", "-s", "-f", "65536"}, []string{l.echo}, time.Hour},
		{"with another digest inside", []string{"-A", "tcp/20443", "-s", "-m", "md5"}, []string{l.echo}, minutes(30)},
	} {
		live := l.opens(c, tc.d, tc.services, tc.args...)
		if tc.name == "by its name, at a port of the range" && live[0].PublicPort != 20777 {
			t.Errorf("%s: %+v", tc.name, live)
		}
		l.flush()
	}

	for name, args := range map[string][]string{
		"a port that nothing has":        {"-A", "tcp/20444", "-s"},
		"the other transport":            {"-A", "udp/20443", "-s"},
		"one of two ports":               {"-A", "tcp/20443,tcp/20444", "-s"},
		"another target":                 {"-A", "tcp/20443", "-N", l.Bed.Lan.IPv4.String() + ":22", "-s"},
		"a target behind another port":   {"-A", "tcp/20444", "-N", target.String(), "-s"},
		"a name that nothing has":        {"-A", "tcp/20443", "-N", "nobody", "-s"},
		"a name behind another port":     {"-A", "tcp/20445", "-N", "echo", "-s"},
		"a name of the other transport":  {"-A", "tcp/20053", "-N", "udp-echo", "-s"},
		"a service that is not granted":  {"-A", "udp/20779", "-N", "router-echo", "-s"},
		"another's address":              {"-A", "tcp/20443", "-a", l.Bed.Client2.IPv4.String()},
		"a port of the router itself":    {"-A", "tcp/20443", "-N", "echo", "--nat-local", "-s"},
		"another mode of the encryption": {"-A", "tcp/20443", "-s", "-M", "ctr"},
	} {
		l.nothing(c, name, func() { l.run(c, args...) })
	}
	for name, args := range map[string][]string{
		"from another day": {"--time-offset-minus", "3M"},
		"from the future":  {"--time-offset-plus", "3M"},
		"a command to run": {"-C", "id"},
	} {
		l.nothing(c, name, func() { l.run(c, append(slices.Clone(args), "-A", "tcp/20443", "-s")...) })
	}

	// What web alone can refuse, the router's admin is told of nevertheless; so is web's.
	for _, tc := range []struct {
		what, log string
		args      []string
	}{
		{"claimed another address", "reason=claimed_source_differs", []string{"-a", l.Bed.Client2.IPv4.String()}},
		{"was refused for its time", "reason=time", []string{"-s", "--time-offset-minus", "3M"}},
		{"asks for what is not taken", "reason=fwknop_message", []string{"-s", "-C", "id"}},
	} {
		l.run(c, append([]string{"-A", "tcp/20443"}, tc.args...)...)
		l.says([]string{client}, "last knock from there", tc.what)
		if !strings.Contains(l.Web.Log(), tc.log) {
			t.Errorf("web's log has no %s", tc.log)
		}
	}
}

// Invariants 1 and 2: what is not of a device, or was there before, is dropped, and nobody is told.
func TestFwknopRefused(t *testing.T) {
	l := startFwknop(t, "")
	l.grant(l.echo, world.Map{"public_port": 20443})
	l.grant(l.udp, world.Map{"public_port": 20053})
	c := l.enrol("sha256", nil)
	at := netip.AddrPortFrom(l.Bed.Router.IPv4, fwknopPort)
	send := func(h *bed.Host, p []byte) func() {
		return func() {
			if err := h.SendUDP(at, p); err != nil {
				t.Fatal(err)
			}
		}
	}
	l.nothing(c, "nothing", func() {}) // the router knows the device
	sent := time.Now()
	packet := l.run(c, "-A", "tcp/20443", "-s")
	l.waitFor("a packet", sent, 30*time.Minute, []string{l.echo})
	l.flush()

	l.counted("a replay", "replay", send(l.Bed.Client1, packet))
	l.counted("a replay by a stranger", "replay", send(l.Bed.Stranger, packet))
	for _, i := range []int{1, 60, len(packet) - 44, len(packet) - 43, len(packet) - 1} {
		flipped := slices.Clone(packet)
		if flipped[i]++; flipped[i] == '/'+1 || !regexp.MustCompile(`^[A-Za-z0-9+/]$`).Match(flipped[i:i+1]) {
			flipped[i] = 'A'
		}
		l.counted(fmt.Sprintf("another character %d", i), "fwknop_hmac", send(l.Bed.Stranger, flipped))
	}
	// What has not the shape of a packet finds a closed port.
	for _, p := range [][]byte{nil, packet[:100], append([]byte("U2FsdGVkX1"), packet...), []byte(strings.Repeat("A", 225))} {
		here, closed := l.Bed.Stranger.ProbeUDP(at, p, 300*time.Millisecond), l.Bed.Stranger.ProbeUDP(netip.AddrPortFrom(at.Addr(), fwknopPort+1), p, 300*time.Millisecond)
		if here.State != closed.State || here.State == bed.Open {
			t.Errorf("%.20q of %d bytes finds %v, a closed port %v", p, len(p), here, closed)
		}
	}
	l.counted("padding", "fwknop_shape", send(l.Bed.Stranger, append(slices.Clone(packet), '=')))

	// Other programs would take these.
	for _, digest := range []string{"md5", "sha1", "sha512"} {
		l.counted("an HMAC by "+digest, "fwknop_hmac", func() { l.run(c, "-A", "tcp/20443,tcp/20444,tcp/20445", "-s", "--hmac-digest-type", digest) })
	}
	whole := c.Client.Stanza
	l.write(c, regexp.MustCompile(`(?m)^.*HMAC.*\n`).ReplaceAllString(whole, ""))
	l.counted("no HMAC", "fwknop_hmac", func() { l.run(c, "-A", "tcp/20443,tcp/20444,tcp/20445", "-s") })
	l.write(c, whole)
	if live := l.sessions(); len(live) != 0 {
		t.Errorf("sessions: %+v", live)
	}

	// Once, after a restart, too. Web has the last word then.
	if err := l.Core.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := l.Core.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "core knows the device", func() bool { return l.status().Devices == 1 })
	l.nothing(c, "a replay after a restart", send(l.Bed.Client1, packet))

	// A device that has to name its address, and one that is revoked.
	claims := l.enrol("sha256", world.Map{"require_claimed_source": true})
	client := l.Bed.Client1.IPv4.String()
	eventually(t, 20*time.Second, "core knows both devices", func() bool { return l.status().Devices == 2 })
	l.run(claims, "-A", "tcp/20443", "-s")
	l.says([]string{client}, "last knock from there", "did not say which address")
	l.opens(claims, 66*time.Second, []string{l.udp}, "-A", "udp/20053", "-a", client, "-f", "66")
	l.flush()
	l.opens(c, 30*time.Minute, []string{l.echo}, "-A", "tcp/20443", "-s")
	l.call("POST", "/devices/"+c.ID+"/revoke", nil, nil)
	l.waitFor("its sessions end", sent, 0, nil)
	l.counted("a revoked device's packet", "fwknop_hmac", func() { l.run(c, "-A", "tcp/20443", "-s") })
	if live := l.sessions(); len(live) != 0 {
		t.Errorf("sessions: %+v", live)
	}
}
