package store

import (
	"database/sql"
	"errors"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// Refuse counts knocks that were refused: all of one kind within a day are one row.
func (t *Tx) Refuse(r ownline.Refusal) error {
	return t.exec(`INSERT INTO refusals (day, site_id, device_id, reason, number, first, latest) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (day, site_id, device_id, reason) DO UPDATE SET number = refusals.number + excluded.number,
			first = CASE WHEN excluded.first < refusals.first THEN excluded.first ELSE refusals.first END,
			latest = CASE WHEN excluded.latest > refusals.latest THEN excluded.latest ELSE refusals.latest END`,
		ms(dayOf(r.Latest)), idText(r.Site), idText(r.Device), r.Reason, int64(r.Number), ms(r.First), ms(r.Latest))
}

func dayOf(at time.Time) time.Time { return at.UTC().Truncate(24 * time.Hour) }

// runsKept is how many runs of a core are remembered.
const runsKept = 8

// RefusedMore takes note of what a run of a site's core has counted, and returns what is new of it. Of
// several processes that say the same, one finds it new; and what a run had said before core was started
// again may come after what the next one says.
func (t *Tx) RefusedMore(s ownline.SiteID, run, reason string, number uint64, now time.Time) (uint64, error) {
	var had int64
	err := t.one("SELECT number FROM refusals_told WHERE site_id = ? AND run = ? AND reason = ?", []any{s.String(), run, reason}, &had)
	fresh := errors.Is(err, sql.ErrNoRows)
	switch {
	case err != nil && !fresh:
		return 0, err
	case uint64(had) >= number:
		return 0, nil // it is old
	}
	err = t.exec(`INSERT INTO refusals_told (site_id, run, reason, number, told) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (site_id, run, reason) DO UPDATE SET number = excluded.number, told = excluded.told`,
		s.String(), run, reason, int64(number), ms(now))
	if err == nil && fresh {
		err = t.exec(`DELETE FROM refusals_told WHERE site_id = ? AND run <> ? AND run NOT IN
			(SELECT run FROM refusals_told WHERE site_id = ? AND run <> ? GROUP BY run ORDER BY max(told) DESC, run LIMIT ?)`,
			s.String(), run, s.String(), run, runsKept-1)
	}
	return number - uint64(had), err
}

// Refusals lists what was refused, all of one kind in one, the latest first.
func (t *Tx) Refusals(q ownline.RefusalQuery) ([]ownline.RefusalInfo, error) {
	where, args := "r.day >= ?", []any{ms(dayOf(q.Since))}
	if !q.Site.IsZero() {
		where, args = where+" AND r.site_id = ?", append(args, q.Site.String())
	}
	return all(t, func(scan scanner) (r ownline.RefusalInfo, err error) {
		var number int64
		err = scan(id(&r.Site), id(&r.Device), &r.Reason, &number, when(&r.First), when(&r.Latest), &r.SiteName, &r.DeviceName, id(&r.User), &r.UserName)
		r.Number = uint64(number)
		return r, err
	}, `SELECT f.site_id, f.device_id, f.reason, f.number, f.first, f.latest, coalesce(s.name, ''), coalesce(d.name, ''), coalesce(u.id, ''), coalesce(u.name, '')
		FROM (SELECT r.site_id, r.device_id, r.reason, CAST(sum(r.number) AS BIGINT) AS number, min(r.first) AS first, max(r.latest) AS latest
			FROM refusals r WHERE `+where+` GROUP BY r.site_id, r.device_id, r.reason) f
		LEFT JOIN sites s ON s.id = f.site_id LEFT JOIN devices d ON d.id = f.device_id LEFT JOIN users u ON u.id = d.user_id
		ORDER BY f.latest DESC, f.reason, f.device_id LIMIT ?`, append(args, q.Limit)...)
}

// ForgetRefusals deletes some that were counted before a day, the oldest first, and returns how many.
func (t *Tx) ForgetRefusals(before time.Time, atMost int) (int, error) {
	n, err := t.c.exec(`DELETE FROM refusals WHERE (day, site_id, device_id, reason) IN
		(SELECT day, site_id, device_id, reason FROM refusals WHERE day < ? ORDER BY day LIMIT ?)`, ms(dayOf(before)), atMost)
	return int(n), err
}
