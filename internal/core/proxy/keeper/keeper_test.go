package proxy

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// What is another service in anything, or gone, is cut; what stays as it was, is not.
func TestChanged(t *testing.T) {
	same := link.Service{ID: ownline.NewID[ownline.Service](), Name: "same", Target4: netip.MustParseAddrPort("192.168.7.10:80")}
	gone, moved, other := same, same, same
	gone.ID, moved.ID, other.ID = ownline.NewID[ownline.Service](), ownline.NewID[ownline.Service](), ownline.NewID[ownline.Service]()
	movedTo, otherNow := moved, other
	movedTo.Target4 = netip.MustParseAddrPort("192.168.7.11:80")
	otherNow.Options.Headers = map[string]string{"X": "y"}
	added := same
	added.ID = ownline.NewID[ownline.Service]()
	got := Changed([]link.Service{same, gone, moved, other}, []link.Service{added, otherNow, movedTo, same})
	if want := []ownline.ServiceID{gone.ID, moved.ID, other.ID}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
