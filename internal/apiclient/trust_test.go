package apiclient_test

import (
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/ownline"
)

// A server that nobody knows is refused with what helps, and trusted with its authority.
func TestTrusting(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	t.Cleanup(s.Close)
	c := &apiclient.Client{URL: s.URL}
	if err := c.SignOut(t.Context()); !errors.Is(err, ownline.ErrUnavailable) || !strings.Contains(err.Error(), "--ca FILE") {
		t.Errorf("without its authority: %v", err)
	}
	if _, err := apiclient.Trusting([]byte("rubbish")); !errors.Is(err, ownline.ErrInvalid) {
		t.Errorf("rubbish: %v", err)
	}
	var err error
	if c.Transport, err = apiclient.Trusting(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})); err != nil {
		t.Fatal(err)
	}
	if err := c.SignOut(t.Context()); err != nil {
		t.Errorf("with its authority: %v", err)
	}
}
