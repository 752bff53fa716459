package firewalld_test

import (
	"testing"

	"github.com/ownline/ownline/internal/core/firewall/firewalld"
	"github.com/ownline/ownline/internal/core/firewall/fwtest"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

func TestMain(m *testing.M) { bedtest.Main(m) }

// What tests of all drivers share, by short names.
const (
	patience = bedtest.Patience
	silence  = bedtest.Silence
	whoPort  = bedtest.WhoPort
)

var (
	settings   = fwtest.Settings
	transports = fwtest.Transports
	source     = fwtest.Source
	forward    = fwtest.Forward
	ruleset    = fwtest.Ruleset
	sync       = fwtest.Sync
	change     = fwtest.Change
)

// start makes a bed with a firewalld that refuses all, as it does after its installation.
func start(t *testing.T) (*bed.Bed, *bedtest.Firewalld) {
	t.Helper()
	return startBy(t, "")
}

// startBy is start with a firewalld that works by a variant of iptables.
func startBy(t *testing.T, iptables string) (*bed.Bed, *bedtest.Firewalld) {
	t.Helper()
	t.Parallel()
	b := bedtest.New(t)
	f := bedtest.NewFirewalld(t, b.Router)
	f.IPTables = iptables
	f.Start()
	bedtest.Serves(t, b.Lan)
	return b, f
}

func newDriver(tb testing.TB, h *bed.Host, cfg firewalld.Config) *firewalld.Driver {
	tb.Helper()
	var d *firewalld.Driver
	if err := h.Do(func() (err error) { d, err = firewalld.New(tb.Context(), cfg); return err }); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := d.Close(); err != nil {
			tb.Error(err)
		}
	})
	return d
}
