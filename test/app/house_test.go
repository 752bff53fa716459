package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/world"
	"github.com/ownline/ownline/test/world/worldtest"
)

// Where browsers find what is not Ownline's.
const (
	brokerName  = "broker.test"
	addressName = "address.test"
	ownName     = ownline.OwnService + "." + world.Domain
	routerName  = "r." + world.Domain // with addresses of both families
)

// house is a world whose web is published by the proxy, with a broker that devices reach over
// WebSocket, and a service in the internet that tells addresses.
type house struct {
	*world.World
	t         *testing.T
	mosquitto *world.Daemon
	detour    *detour
	agents    map[string]*exec.Cmd // by the host they run on
	spki      string               // of the one certificate that everything shows
	roots     *x509.CertPool       // with that certificate
	dns       string               // what DNS tells programs in the internet, as a file like /etc/hosts
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, agents: make(map[string]*exec.Cmd)}
	dir := t.TempDir()
	cert, key := h.certificate(dir)
	file := func(name, content string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	h.World = worldtest.New(t, world.Options{
		Programs: programs,
		CoreYAML: fmt.Sprintf("proxy: {domain: %s, certificate: {file: %q, key_file: %q}}\n", world.Domain, cert, key),
		WebYAML: fmt.Sprintf(`publish: 192.168.7.10:8080
trusted_proxies: [192.168.7.1]
public_url: https://%s:%d
doorstep: true
sessions: {automatic: 10m}
mqtt:
  url: tls://192.168.7.1:8883
  username: ownline
  password: %s
  ca_file: %q
  devices: {url: "wss://%s:9001", username: device, password: %s, address_urls: ["https://%s/"]}
`, ownName, world.ProxyPort, world.AdminPassword, cert, brokerName, world.AdminPassword, addressName),
	})
	passwords := file("passwords", "")
	for _, user := range []string{"ownline", "device"} {
		if out, err := exec.Command("mosquitto_passwd", "-b", passwords, user, world.AdminPassword).CombinedOutput(); err != nil {
			t.Fatalf("this test needs mosquitto and mosquitto-clients, which `make test` installs: %v: %s", err, out)
		}
	}
	// What docs/how/mqtt.md tells people to write.
	rights := file("rights", `user ownline
topic read ownline/knock
topic write ownline/answer/#

user device
topic write ownline/knock
topic read ownline/answer/#
`)
	encrypted := fmt.Sprintf("certfile %s\nkeyfile %s\n", cert, key)
	conf := file("mosquitto.conf", "user root\npersistence false\nallow_anonymous false\npassword_file "+passwords+"\nacl_file "+rights+
		"\nlistener 8883\n"+encrypted+"listener 9001\nprotocol websockets\n"+encrypted)
	var err error
	if h.mosquitto, err = h.StartOnRouter(t.Context(), "/usr/sbin/mosquitto", "-c", conf); err != nil {
		t.Fatal(err)
	}
	h.dns = file("hosts", fmt.Sprintf("%s %s\n%s %s\n", h.Bed.Router.IPv4, routerName, h.Bed.Router.IPv6, routerName))
	h.serveAddress(cert, key)
	worldtest.ServeSTUN(t, h.Bed.Internet, netip.AddrPortFrom(addressAt.Addr(), 3478))
	h.serveDetour(cert, key)
	h.ready()
	return h
}

// certificate makes the one that proxy, broker and address service show, its own authority.
func (h *house) certificate(dir string) (cert, key string) {
	h.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		DNSNames:    []string{"*." + world.Domain, brokerName, addressName},
		IPAddresses: []net.IP{net.IPv4(192, 168, 7, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		h.t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		h.t.Fatal(err)
	}
	h.roots = x509.NewCertPool()
	h.roots.AddCert(made)
	sum := sha256.Sum256(made.RawSubjectPublicKeyInfo)
	h.spki = base64.StdEncoding.EncodeToString(sum[:])
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		h.t.Fatal(err)
	}
	write := func(name, kind string, content []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600); err != nil {
			h.t.Fatal(err)
		}
		return name
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", secret)
}

// addressAt is in the internet.
var addressAt = netip.MustParseAddrPort("192.0.2.1:443")

// serveAddress tells whoever asks their address, and the time.
func (h *house) serveAddress(cert, key string) {
	h.t.Helper()
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		h.t.Fatal(err)
	}
	l, err := h.Bed.Internet.ListenTCP(addressAt)
	if err != nil {
		h.t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Expose-Headers", "Date")
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		_, _ = io.WriteString(w, host+"\n") // whoever has gone needs no answer
	})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}})) })
	h.t.Cleanup(func() {
		server.Close()
		serving.Wait()
	})
}

// heard waits until web has its broker, so that no knock goes unheard.
func (h *house) heard(ctx context.Context) error {
	return h.Web.Until(ctx, "find its broker", func(ctx context.Context) error {
		var state struct{ Connected bool }
		if err := h.API.Call(ctx, "GET", "/broker", nil, &state); err != nil {
			return err
		}
		if !state.Connected {
			return errors.New("it is not connected")
		}
		return nil
	})
}

// ready waits until web has its broker and is served under its name, with the pages.
func (h *house) ready() {
	h.t.Helper()
	lan := h.browser()
	var page string
	if err := h.heard(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	err := h.Web.Until(h.t.Context(), "serve its pages", func(context.Context) error {
		resp, err := lan.Get("https://" + ownName + ":9999/")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		page = string(b)
		if resp.StatusCode != 200 {
			return fmt.Errorf("%s", resp.Status)
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	if !strings.Contains(page, "/assets/") {
		h.t.Fatal("the programs have no pages: `make pages` builds them")
	}
}
