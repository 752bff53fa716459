package api

import (
	"bytes"
	"flag"
	"log/slog"
	"os"
	"regexp"
	"testing"

	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/auth"
)

var update = flag.Bool("update", false, "rewrite spec/openapi.json")

const specFile = "../../../spec/openapi.json"

// The document in spec/ is the one that the code serves.
func TestOpenAPIFile(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	s, err := New(Options{Access: &access.Access{}, Auth: auth.New(auth.Options{Log: log}), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(specFile, s.openAPI, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(specFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, s.openAPI) {
		t.Error("spec/openapi.json is not what the code serves; run `go test ./internal/web/api -run OpenAPI -update` and read the difference")
	}
	if at := regexp.MustCompile(`https?://[^" :]+`).FindAll(bytes.ReplaceAll(bytes.ReplaceAll(want, []byte("https://example.com/"), nil), []byte("http://www.w3.org/2000/svg"), nil), -1); at != nil {
		t.Errorf("the document points elsewhere: %s", at)
	}
}
