// Package brokertest runs a real broker for tests: Debian's mosquitto, on loopback.
package brokertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/ownline/ownline/test/freeport"
)

// Who may use Broker.Strict.
const (
	Username = "ownline"
	Password = "four words are enough"
)

// Broker is a mosquitto of the test's own.
type Broker struct {
	TCP string // tcp://127.0.0.1:PORT
	WS  string // ws://127.0.0.1:PORT
	TLS string // tls://127.0.0.1:PORT
	// Strict is tls:// as well, and lets nobody in but with the certificate of CertFile, and the
	// name and the password of Username and Password.
	Strict string
	// Authority has signed the certificates: that of the broker and that of CertFile.
	Authority *x509.CertPool

	CAFile, CertFile, KeyFile string // the same in PEM

	t      testing.TB
	config string
	cmd    *exec.Cmd
	addr   string
}

// Start runs a broker until the test ends.
func Start(t testing.TB) *Broker {
	t.Helper()
	dir := t.TempDir()
	tcp, ws, tls, strict := freeport.Addr(t).Port(), freeport.Addr(t).Port(), freeport.Addr(t).Port(), freeport.Addr(t).Port()
	b := &Broker{
		TCP: fmt.Sprintf("tcp://127.0.0.1:%d", tcp), WS: fmt.Sprintf("ws://127.0.0.1:%d", ws), TLS: fmt.Sprintf("tls://127.0.0.1:%d", tls),
		Strict: fmt.Sprintf("tls://127.0.0.1:%d", strict),
		t:      t, config: filepath.Join(dir, "mosquitto.conf"), addr: fmt.Sprintf("127.0.0.1:%d", tcp),
	}
	b.Authority, b.CertFile, b.KeyFile = Certificate(t, dir, netip.MustParseAddr("127.0.0.1"))
	b.CAFile = b.CertFile
	passwords := filepath.Join(dir, "passwords")
	if out, err := exec.Command("mosquitto_passwd", "-c", "-b", passwords, Username, Password).CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_passwd: %v: %s", err, out)
	}
	// Started by root it would become a user who may not read the key.
	conf := fmt.Sprintf("user root\nper_listener_settings true\npersistence false\nlog_dest stderr\nlistener %d 127.0.0.1\nallow_anonymous true\n"+
		"listener %d 127.0.0.1\nprotocol websockets\nallow_anonymous true\nlistener %d 127.0.0.1\nallow_anonymous true\ncertfile %[4]s\nkeyfile %[5]s\n"+
		"listener %[6]d 127.0.0.1\nallow_anonymous false\npassword_file %[7]s\ncertfile %[4]s\nkeyfile %[5]s\ncafile %[4]s\nrequire_certificate true\n",
		tcp, ws, tls, b.CertFile, b.KeyFile, strict, passwords)
	if err := os.WriteFile(b.config, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	b.Up()
	t.Cleanup(b.Down)
	return b
}

// Up starts the broker again after Down, at the same addresses.
func (b *Broker) Up() {
	b.t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto" // which is in no user's path
	}
	b.cmd = exec.Command(path, "-c", b.config)
	if err := b.cmd.Start(); err != nil {
		b.t.Fatalf("this test needs Debian's mosquitto, which `make test` installs: %v", err)
	}
	for range 600 {
		c, err := net.Dial("tcp", b.addr)
		if err == nil {
			c.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.t.Fatal("mosquitto does not listen")
}

// Down stops the broker.
func (b *Broker) Down() {
	if b.cmd == nil {
		return
	}
	_ = b.cmd.Process.Kill() // one that has ended already is as good
	_ = b.cmd.Wait()         // tells that it was killed
	b.cmd = nil
}

// Certificate writes one for the addresses, which is its own authority, and the key to it, into
// a folder.
func Certificate(t testing.TB, dir string, addrs ...netip.Addr) (authority *x509.CertPool, cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	for _, a := range addrs {
		template.IPAddresses = append(template.IPAddresses, a.AsSlice())
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	authority = x509.NewCertPool()
	write := func(name, kind string, content []byte) string {
		name = filepath.Join(dir, name)
		text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
		authority.AppendCertsFromPEM(text) // but for a key
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	return authority, write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", secret)
}

// Retain has the broker keep a message for whoever subscribes later.
func (b *Broker) Retain(topic, payload string) {
	b.t.Helper()
	c, err := net.Dial("tcp", b.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	// MQTT 3.1.1: CONNECT with a clean session as "r"; PUBLISH with RETAIN, QoS 0; DISCONNECT.
	packets := []byte{0x10, 13, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 60, 0, 1, 'r'}
	packets = append(packets, 0x31)
	packets = binary.AppendUvarint(packets, uint64(2+len(topic)+len(payload))) // the same as MQTT's lengths
	packets = append(packets, 0, byte(len(topic)))
	packets = append(append(packets, topic...), payload...)
	packets = append(packets, 0xe0, 0)
	if _, err := c.Write(packets); err != nil {
		b.t.Fatal(err)
	}
	// The broker closes the connection once it has read all.
	if _, err := io.ReadAll(c); err != nil {
		b.t.Fatal(err)
	}
}
