package e2e

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/core/proxy/acme"
	"github.com/ownline/ownline/internal/core/proxy/acme/acmetest"
	"github.com/ownline/ownline/internal/core/proxy/cert"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/sites/coretest"
	"github.com/ownline/ownline/test/bed/bedtest"
	"github.com/ownline/ownline/test/freeport"
	"github.com/ownline/ownline/test/world"
)

// named runs a program for which a name leads to addresses, as if DNS said so.
func named(t *testing.T, run func(*exec.Cmd) error, stdin, name string, at []netip.Addr, program string, args ...string) ([]byte, error) {
	t.Helper()
	hosts := filepath.Join(t.TempDir(), "hosts")
	var lines []byte
	for _, a := range at {
		lines = fmt.Appendf(lines, "%s %s\n", a, name)
	}
	if err := os.WriteFile(hosts, lines, 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	script := `mount --bind "$0" /etc/hosts && exec "$@"`
	cmd := exec.CommandContext(ctx, "unshare", append([]string{"-m", "sh", "-c", script, hosts, program}, args...)...)
	var out strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &out
	err := run(cmd)
	return []byte(out.String()), err
}

// The embedded broker shows what core's internal authority has signed for a key of web's: devices
// trust it by their profile, by name, and nobody does without; web keeps it over a crash.
func TestBrokerCertificate(t *testing.T) {
	const name = "mqtt." + world.Domain
	lan, wan := netip.MustParseAddr("192.168.7.10"), netip.MustParseAddr("203.0.113.2")
	b := &brokers{suite: start(t, world.Options{CoreYAML: world.ProxyYAML, WebYAML: fmt.Sprintf(`mqtt:
  embedded: {listen: "%s:8883", url: "tls://%s:8884/", certificate: proxy}
  devices: {address_urls: ["stun:192.0.2.1:3478"]}
`, lan, name)})}
	b.pass(netip.AddrPortFrom(wan, 8884), netip.AddrPortFrom(lan, 8883))
	b.grant(b.echo, world.Map{"automatic": true})
	expires := func() (until time.Time) {
		var state struct {
			Embedded struct {
				Certificate struct {
					Expires time.Time
					Problem string
				}
			}
		}
		b.call("GET", "/broker", nil, &state)
		if p := state.Embedded.Certificate.Problem; until.IsZero() && p != "" {
			t.Log(p)
		}
		return state.Embedded.Certificate.Expires
	}
	eventually(t, patience, "a certificate", func() bool { return time.Until(expires()) > 80*24*time.Hour })
	first := expires()

	w := b.way("own", nil)
	client := b.Bed.Client1
	if len(w.profile.Broker.Authority) == 0 || w.profile.Broker.URL != "tls://"+name+":8884/" {
		t.Fatalf("the profile has %+v", w.profile.Broker)
	}
	knocks := func() (out []byte, err error) {
		return named(t, client.Run, "", name, []netip.Addr{wan}, programs.CLI, "knock", "--config-dir", w.home, "-4", "--source", client.IPv4s[0].String(), "--timeout", "40s", "--json")
	}
	out, err := knocks()
	if err != nil || !strings.Contains(string(out), "mqtt") || w.live(client.IPv4s[0]).ID == "" {
		t.Fatalf("ownline knock: %v: %s", err, out)
	}

	// Another client, by the name and by another one; the latter is refused though the key is right.
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.profile.Broker.Authority}), 0o600); err != nil {
		t.Fatal(err)
	}
	publish := func(host, cafile string) ([]byte, error) {
		_, packet := w.sealed(client.IPv4s[0])
		return named(t, client.Run, string(packet[:]), host, []netip.Addr{wan}, "mosquitto_pub", "-h", host, "-p", "8884", "-V", "5", "--cafile", cafile,
			"-u", w.profile.Broker.Username, "-P", string(w.profile.Broker.Password), "-q", "1", "-t", "ownline/knock", "-s")
	}
	if out, err := publish(name, ca); err != nil {
		t.Errorf("mosquitto_pub: %v: %s", err, out)
	}
	if out, err := publish("nas."+world.Domain, ca); err == nil {
		t.Errorf("good for another name: %s", out)
	}
	if out, err := publish(name, "/etc/ssl/certs/ca-certificates.crt"); err == nil {
		t.Errorf("trusted by who does not know the router: %s", out)
	}

	if err := b.Web.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := b.Core.Kill(); err != nil { // it is there without core
		t.Fatal(err)
	}
	if err := b.Web.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "the same certificate after a crash", func() bool {
		out, err := publish(name, ca)
		if err != nil {
			t.Logf("%v: %s", err, out)
		}
		return err == nil
	})
	if again := expires(); !again.Equal(first) {
		t.Errorf("until %s, and before the crash until %s", again, first)
	}
}

// runs runs something until the test is over.
func runs(t *testing.T, part func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- part(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// The same by ACME, through the code that core signs with: a real authority (Pebble) looks at the
// port that the challenge opens, and the chain goes to web by the link.
func TestBrokerCertificateByACME(t *testing.T) {
	const domain, name = "acme.example.org", "mqtt.acme.example.org"
	challenge := acmetest.Addr(t)
	bedtest.Need(t)
	authority := acmetest.New(t, acmetest.Config{HTTPPort: int(challenge.Port()), TLSPort: int(challenge.Port())})
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	source, err := acme.New(acme.Config{
		Domain: domain, Directory: authority.Directory, Challenge: acme.HTTP01, RootsFile: authority.RootsFile, Dir: filepath.Join(t.TempDir(), "acme"),
		Addrs: []netip.AddrPort{challenge}, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	runs(t, source.Run)
	core := coretest.Serve(t, coretest.New("token"))
	core.SetProxy(link.Proxy{Driver: "embedded", Domain: domain, Port: 9999, OK: true})
	core.SetAuthority(func(der []byte) (link.Certificate, error) {
		csr, err := cert.Request(der, name)
		if err != nil {
			return link.Certificate{}, err
		}
		chain, err := source.Sign(t.Context(), csr)
		return link.Certificate{Chain: string(chain)}, err
	})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, authority.Root, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := config.DefaultWeb()
	addr := freeport.Addr(t)
	cfg.StateDir, cfg.Listen = t.TempDir(), freeport.Addr(t).String()
	cfg.MQTT.Devices = config.MQTTDevices{AddressURLs: []string{"stun:stun.example.org:3478"}, CAFile: ca}
	cfg.MQTT.Embedded = config.MQTTEmbedded{Listen: addr.String(), URL: fmt.Sprintf("tls://%s:%d/", name, addr.Port()), Certificate: config.ProxyCertificate}
	server, err := web.Open(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	up := make(chan struct{})
	runs(t, func(ctx context.Context) error {
		return server.Serve(ctx, web.ServeOptions{Listening: func(net.Addr) { close(up) }})
	})
	<-up
	a, ctx := server.Access(), t.Context()
	site, err := a.PairSite(ctx, access.Command(), core.Code("token"), "home", "home.example.org")
	if err != nil {
		t.Fatal(err)
	}
	u, err := a.AddUser(ctx, access.Command(), access.NewUser{Name: "ana", Password: "four words are enough", Role: ownline.Admin})
	if err != nil {
		t.Fatal(err)
	}
	device, profile, err := a.AddDevice(ctx, access.Actor{User: u, By: access.ByLogin}, access.NewDevice{Site: site.ID, Name: "phone"})
	if err != nil {
		t.Fatal(err)
	}
	if c, err := x509.ParseCertificate(profile.Broker.Authority); err != nil || !strings.Contains(c.Subject.CommonName, "Pebble") {
		t.Errorf("the profile has not the authority that the configuration names: %v", err)
	}
	publish := func(host string) ([]byte, error) {
		return named(t, (*exec.Cmd).Run, "garbage", host, []netip.Addr{addr.Addr()}, "mosquitto_pub", "-h", host, "-p", fmt.Sprint(addr.Port()), "-V", "311", "--cafile", ca,
			"-u", device.ID.String(), "-P", string(profile.Broker.Password), "-q", "1", "-t", "ownline/knock", "-s")
	}
	eventually(t, 2*time.Minute, "a certificate by ACME", func() bool {
		out, err := publish(name)
		if err != nil {
			t.Logf("%v: %s", err, out)
			time.Sleep(500 * time.Millisecond)
		}
		return err == nil
	})
	if out, err := publish("other." + domain); err == nil {
		t.Errorf("good for another name: %s", out)
	}
}
