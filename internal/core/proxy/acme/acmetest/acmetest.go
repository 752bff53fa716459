// Package acmetest: for tests, the real Pebble, which is Let's Encrypt's test server, and the
// DNS server that it asks.
package acmetest

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/challtestsrv"
	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// Config is what the authority does.
type Config struct {
	HTTPPort, TLSPort int           // where it asks for challenges
	Validity          time.Duration // of certificates; 0: 90 days
}

// Authority is a running one.
type Authority struct {
	Directory string // its URL
	RootsFile string // PEM of who vouches for the URL
	Root      []byte // PEM of who vouches for its certificates; another for every Authority
	DNS       *challtestsrv.ChallSrv

	server *httptest.Server
}

// New starts an authority on loopback, which finds every name at 127.0.0.1. Only one can be
// used at a time: what answers for names is the whole process's.
func New(t testing.TB, cfg Config) *Authority {
	t.Helper()
	// Pebble does not dawdle to find clients that don't wait, and nearly every order has a challenge.
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_AUTHZREUSE", "0")
	quiet := log.New(io.Discard, "", 0)

	dnsAddr := Addr(t).String()
	dns, err := challtestsrv.New(challtestsrv.Config{DNSAddrs: []string{dnsAddr}, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	dns.SetDefaultDNSIPv4("127.0.0.1")
	dns.SetDefaultDNSIPv6("")
	dns.Run()
	t.Cleanup(dns.Shutdown)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		c, err := net.Dial("tcp", dnsAddr)
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}

	if cfg.Validity == 0 {
		cfg.Validity = 90 * 24 * time.Hour
	}
	store := db.NewMemoryStore()
	authority := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{
		"default": {Description: "all there is", ValidityPeriod: uint64(cfg.Validity / time.Second)},
	})
	validator := va.New(quiet, cfg.HTTPPort, cfg.TLSPort, false, dnsAddr, store)
	front := wfe.New(quiet, store, validator, authority, []string{"pebble.example"}, false, false, 1, 1)
	a := &Authority{
		Root:      authority.GetRootCert(0).PEM(),
		RootsFile: filepath.Join(t.TempDir(), "roots.pem"),
		DNS:       dns,
		server:    httptest.NewTLSServer(front.Handler()),
	}
	t.Cleanup(a.server.Close)
	a.Directory = a.server.URL + wfe.DirectoryPath
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.server.Certificate().Raw})
	if err := os.WriteFile(a.RootsFile, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// Stop makes the authority unreachable.
func (a *Authority) Stop() { a.server.Close() }

// tried makes every port that Addr finds another one.
var tried atomic.Uint32

// Addr returns an address of loopback whose port nothing has: at neither family, for neither
// TCP nor UDP. It is none of those that systems give to connections, so that it stays free.
func Addr(t testing.TB) netip.AddrPort {
	t.Helper()
	for range 1000 {
		port := 10000 + (uint32(os.Getpid())*64+tried.Add(1))%20000
		addr := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port))
		l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			continue
		}
		l.Close()
		u, err := net.ListenPacket("udp", fmt.Sprintf(":%d", port))
		if err != nil {
			continue
		}
		u.Close()
		return addr
	}
	t.Fatal("no free port")
	return netip.AddrPort{}
}
