package store

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// A page of the history is read off an index that has it in order, whatever is filtered by:
// otherwise it takes the longer, the longer the history is.
func TestHistoryPlans(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "db"), make(ownline.Secret, 32))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := time.Now()
	for name, tc := range map[string]struct {
		query ownline.SessionQuery
		index string
	}{
		"all":     {ownline.SessionQuery{}, "sessions_newest"},
		"user":    {ownline.SessionQuery{User: ownline.NewID[ownline.User]()}, "sessions_by_user"},
		"service": {ownline.SessionQuery{Service: ownline.NewID[ownline.Service]()}, "sessions_by_service"},
		"site":    {ownline.SessionQuery{Site: ownline.NewID[ownline.Site]()}, "sessions_by_site"},
		"device":  {ownline.SessionQuery{Device: ownline.NewID[ownline.Device]()}, "sessions_by_device"},
		"reason":  {ownline.SessionQuery{Reason: ownline.Failed}, "sessions_by_reason"},
		"source":  {ownline.SessionQuery{Sources: []netip.Prefix{netip.MustParsePrefix("198.51.100.7/32")}}, "sessions_by_source"},
		"ended":   {ownline.SessionQuery{Ended: true}, "sessions_ended_newest"},
		"invited": {ownline.SessionQuery{Invitation: ownline.NewID[ownline.Invitation]()}, "sessions_by_invitation"},
		"span":    {ownline.SessionQuery{From: now, Until: now}, "sessions_newest"},
		"live":    {ownline.SessionQuery{Live: true}, "sessions_live_newest"},
		"active":  {ownline.SessionQuery{State: ownline.Active}, "sessions_live_newest"},
	} {
		for _, before := range []string{"", "1772366400000 01a21662-517e-795e-bbdd-eef4e92d2bfe"} {
			text, args, err := historyText(tc.query, before)
			if err != nil {
				t.Fatal(err)
			}
			rows, err := s.readersDB.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, append(args, 51)...)
			if err != nil {
				t.Fatal(err)
			}
			var plan []string
			for rows.Next() {
				var id, parent, unused int
				var step string
				if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
					t.Fatal(err)
				}
				plan = append(plan, step)
			}
			if err := rows.Close(); err != nil {
				t.Fatal(err)
			}
			all := strings.Join(plan, "; ")
			if !strings.Contains(all, "INDEX "+tc.index) || strings.Contains(all, "TEMP B-TREE") {
				t.Errorf("by %s, after %q: %s", name, before, all)
			}
		}
	}
}
