//go:build !noproxy

package core

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

func csrFor(t *testing.T, name string) link.CertificateRequest {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return link.CertificateRequest{CSR: der}
}

// Web gets certificates for its broker's name, and for no other one; one at a time, and not too many.
func TestCertify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		n := &names{settings: proxy.Settings{Domain: "home.example.org"}, root: func() string { return "root" }, log: slog.New(slog.DiscardHandler)}
		if _, err := n.Certify(ctx, csrFor(t, "mqtt.home.example.org")); !errors.Is(err, ownline.ErrConflict) || !strings.Contains(err.Error(), "cert_file") {
			t.Errorf("with files: %v", err)
		}
		if _, err := (*names)(nil).Certify(ctx, link.CertificateRequest{}); !errors.Is(err, ownline.ErrConflict) {
			t.Errorf("without a proxy: %v", err)
		}
		signed, fail, hold := 0, error(nil), chan struct{}(nil)
		n.signing.sign = func(_ context.Context, csr *x509.CertificateRequest) ([]byte, error) {
			if hold != nil {
				<-hold
			}
			if fail != nil {
				return nil, fail
			}
			signed++
			return []byte("chain for " + csr.DNSNames[0]), nil
		}
		// Whatever is served, or was a moment ago.
		for _, name := range []string{"nas.home.example.org", "ownline.home.example.org", ownline.Doorstep + ".home.example.org", "home.example.org", "mqtt.example.org"} {
			if _, err := n.Certify(ctx, csrFor(t, name)); !errors.Is(err, ownline.ErrInvalid) || signed > 0 || !strings.Contains(err.Error(), "signs for mqtt.home.example.org") {
				t.Errorf("%s: %v", name, err)
			}
		}
		got, err := n.Certify(ctx, csrFor(t, "mqtt.home.example.org"))
		if err != nil || got.Chain != "chain for mqtt.home.example.org" || got.Root != "root" {
			t.Fatalf("%+v, %v", got, err)
		}

		hold = make(chan struct{})
		done := make(chan error)
		go func() {
			_, err := n.Certify(ctx, csrFor(t, "mqtt.home.example.org"))
			done <- err
		}()
		synctest.Wait()
		if _, err := n.Certify(ctx, csrFor(t, "mqtt.home.example.org")); !errors.Is(err, ownline.ErrUnavailable) {
			t.Errorf("two at once: %v", err)
		}
		close(hold)
		if err := <-done; err != nil {
			t.Fatal(err)
		}

		// Failures count by the hour, certificates by the week.
		fail = errors.New("the authority is away")
		for i := range 4 {
			if _, err := n.Certify(ctx, csrFor(t, "mqtt.home.example.org")); (i < 3) != errors.Is(err, fail) {
				t.Errorf("try %d: %v", i+3, err)
			} else if i == 3 && (!errors.Is(err, ownline.ErrConflict) || !strings.Contains(err.Error(), "in 1h0m0s")) {
				t.Errorf("refused with %v", err)
			}
		}
		time.Sleep(time.Hour)
		fail, signed = nil, 0
		for range 5 {
			_, err = n.Certify(ctx, csrFor(t, "mqtt.home.example.org"))
		}
		if signed != 3 || !errors.Is(err, ownline.ErrConflict) || !strings.Contains(err.Error(), "167h0m0s") {
			t.Errorf("%d more, then %v", signed, err)
		}
		time.Sleep(7 * 24 * time.Hour)
		if _, err = n.Certify(ctx, csrFor(t, "mqtt.home.example.org")); err != nil {
			t.Errorf("a week later: %v", err)
		}
	})
}
