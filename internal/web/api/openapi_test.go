package api

import (
	"bytes"
	"flag"
	"log/slog"
	"os"
	"testing"

	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/auth"
)

var update = flag.Bool("update", false, "rewrite spec/openapi.json")

const specFile = "../../../spec/openapi.json"

// The document in spec/ is the one that the code serves.
func TestOpenAPIFile(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	s, err := New(Options{Access: &access.Access{}, Auth: auth.New(nil, nil, nil, log), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(specFile, s.OpenAPI(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(specFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, s.OpenAPI()) {
		t.Error("spec/openapi.json is not what the code serves; run `go test ./internal/web/api -run OpenAPI -update` and read the difference")
	}
	if bytes.Contains(want, []byte("http://")) || bytes.Contains(want, []byte("https://")) && !bytes.Contains(want, []byte("https://example.com")) {
		t.Error("the document points elsewhere")
	}
}
