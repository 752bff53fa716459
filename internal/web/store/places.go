package store

import (
	"context"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// SeePlaces remembers from where a device has knocked. It returns the places that are new,
// but not the first of their kind: they say nothing.
func (s *Store) SeePlaces(ctx context.Context, d ownline.DeviceID, places []ownline.Place, now time.Time) (fresh []ownline.Place, err error) {
	err = s.Write(ctx, func(t *Tx) error {
		for _, p := range places {
			var before int
			if err := t.one("SELECT COUNT(*) FROM device_places WHERE device_id = ? AND kind = ?", []any{d.String(), string(p.Kind)}, &before); err != nil {
				return err
			}
			added, err := t.c.exec("INSERT INTO device_places (device_id, kind, name, first_seen) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
				d.String(), string(p.Kind), p.Name, ms(now))
			if err != nil {
				return err
			}
			if added > 0 && before > 0 {
				fresh = append(fresh, p)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return fresh, nil
}
