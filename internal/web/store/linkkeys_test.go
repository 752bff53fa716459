package store_test

import (
	"maps"
	"testing"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/store"
	"github.com/ownline/ownline/internal/web/store/storetest"
)

// The next link key waits until every site's core knows it: over restarts, over a rotation of
// the secret key, and in a backup.
func TestLinkKeys(t *testing.T) {
	for kind, place := range databases {
		t.Run(kind, func(t *testing.T) {
			h := newHouse(t, place(t))
			s, f, ctx := h.store, h.fixture, t.Context()
			core := link.Pin(f.Site.Pin)
			key := func(pem string) func() ([]byte, error) { return func() ([]byte, error) { return []byte(pem), nil } }
			audit := ownline.AuditEntry{At: storetest.T0, By: "command", Action: "link_key.begin"}
			use := func(what string, force, want bool, ignorant int) {
				t.Helper()
				done, who, err := s.UseNextLinkKey(ctx, force, audit)
				if done != want || len(who) != ignorant || err != nil {
					t.Errorf("%s: UseNextLinkKey = %v, %v, %v", what, done, who, err)
				}
			}
			keys := func(what, present, next string, known map[link.Pin]string) {
				t.Helper()
				k, err := s.LinkKeys(ctx)
				if err != nil || string(k.Present) != present || string(k.Next) != next || !maps.Equal(k.Known, known) {
					t.Errorf("%s: LinkKeys = %q, %q, %v, %v", what, k.Present, k.Next, k.Known, err)
				}
			}
			none := map[link.Pin]string{}
			_, err := s.LinkIdentity(ctx, key("one"))
			must(t, err)
			use("no rotation", true, false, 0)
			must(t, s.LinkKeyKnown(ctx, []byte("two"), core, ""))
			keys("no rotation", "one", "", none)

			must(t, s.NextLinkKey(ctx, key("two"), audit))
			must(t, s.NextLinkKey(ctx, key("three"), audit))
			keys("begun twice", "one", "two", none)
			use("nobody was told", false, false, 1)
			must(t, s.LinkKeyKnown(ctx, []byte("two"), core, "too old"))
			use("the core is too old", false, false, 1)
			keys("the core is too old", "one", "two", map[link.Pin]string{core: "too old"})
			must(t, s.LinkKeyKnown(ctx, []byte("two"), core, ""))
			must(t, s.Rotate(ctx, rotation()))
			must(t, s.Backup(ctx, h.backup))
			must(t, s.Close())
			s = h.open(t)
			keys("all know", "one", "two", map[link.Pin]string{core: ""})
			use("all know", false, true, 0)
			keys("used", "two", "", none)
			use("used", true, false, 0)

			must(t, s.NextLinkKey(ctx, key("three"), audit))
			must(t, s.LinkKeyKnown(ctx, []byte("two"), core, ""))
			keys("told of a key that is not the next", "two", "three", none)
			use("forced", true, true, 1)
			keys("forced", "three", "", none)
			must(t, s.NextLinkKey(ctx, key("four"), audit))
			must(t, s.Write(ctx, func(tx *store.Tx) error { return tx.SetLinkKey(ownline.Secret("brought")) }))
			keys("brought from elsewhere", "brought", "", none)
			must(t, s.NextLinkKey(ctx, key("five"), audit))
			site := f.Site
			site.Link, site.Pin = "192.168.7.2:57329", "another"
			must(t, s.Write(ctx, func(tx *store.Tx) error { return tx.PairSite(site) }))
			must(t, s.LinkKeyKnown(ctx, []byte("five"), core, ""))
			use("the core that knows is not the site's any more", false, false, 1)
			must(t, s.Write(ctx, func(tx *store.Tx) error {
				got, err := tx.Site(site.ID)
				if err != nil || got.Link != site.Link || got.Pin != site.Pin {
					t.Errorf("PairSite left %+v, %v", got, err)
				}
				return tx.RemoveSite(site.ID, storetest.T0)
			}))
			use("the only site was removed", false, true, 0)
			must(t, s.Close())

			// Cores may have been paired anew since the backup, so they are told again.
			must(t, h.restore(t, h.database, true))
			s = h.open(t)
			keys("restored", "one", "two", none)
			must(t, s.Close())
		})
	}
}
