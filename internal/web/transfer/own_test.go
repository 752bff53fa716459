package transfer_test

import (
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/store"
	"github.com/ownline/ownline/internal/web/transfer"
)

// The service that is web itself stays where it is: no file has it, and none takes it away.
func TestOwnService(t *testing.T) {
	d := house(t)
	if err := d.store.Write(t.Context(), func(tx *store.Tx) error {
		ss, err := tx.ServicesNamed("journal")
		if err != nil || len(ss) != 1 {
			t.Fatalf("%+v, %v", ss, err)
		}
		ss[0].Name, ss[0].Everybody = ownline.OwnService, true
		return tx.SaveService(ss[0])
	}); err != nil {
		t.Fatal(err)
	}
	text := d.export(true, true)
	if strings.Contains(text, "name: "+ownline.OwnService) {
		t.Error("the export has it")
	}
	if r := d.imports(text, transfer.Options{Prune: true}); len(r.Changes) != 0 {
		t.Errorf("an import changes %+v", r.Changes)
	}
}
