package store

import (
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// PutPass keeps a pass of a login that is valid at now, and returns it: it ends with the
// login at the latest. Without such a login of the user's it is ErrNotFound.
func (t *Tx) PutPass(p ownline.Pass, now time.Time) (ownline.Pass, error) {
	return first(t, "login", p.Login.String(), func(scan scanner) (ownline.Pass, error) {
		return p, scan(when(&p.Expires))
	}, `INSERT INTO passes (login_id, service_id, user_id, expires)
		SELECT l.id, ?, l.user_id, CASE WHEN l.expires < ? THEN l.expires ELSE ? END FROM logins l WHERE l.id = ? AND l.user_id = ? AND l.expires > ?
		ON CONFLICT (login_id, service_id) DO UPDATE SET expires = excluded.expires RETURNING expires`,
		p.Service.String(), ms(p.Expires), ms(p.Expires), p.Login.String(), p.User.String(), ms(now))
}

// Passes lists those of a site that are valid at now.
func (t *Tx) Passes(site ownline.SiteID, now time.Time) ([]ownline.PassInfo, error) {
	return all(t, func(scan scanner) (p ownline.PassInfo, err error) {
		err = scan(id(&p.Login), id(&p.Service), id(&p.User), when(&p.Expires), &p.UserName)
		return p, err
	}, `SELECT p.login_id, p.service_id, p.user_id, p.expires, u.name FROM passes p JOIN services s ON s.id = p.service_id JOIN users u ON u.id = p.user_id
		WHERE s.site_id = ? AND s.removed = 0 AND p.expires > ? AND u.disabled = 0 AND u.removed = 0 ORDER BY p.login_id, p.service_id`, site.String(), ms(now))
}

// MayPass reports whether a user may use a service just now: by a grant, by a live session of
// their own, or as everybody may.
func (t *Tx) MayPass(u ownline.UserID, s ownline.ServiceID) (bool, error) {
	var n int
	err := t.one("SELECT count(*) FROM services s WHERE s.id = ? AND s.removed = 0 AND "+mayPass, []any{s.String(), u.String(), u.String()}, &n)
	return n > 0, err
}

// mayPass has the user as its two arguments, and the service as s.
const mayPass = `(s.everybody = 1 OR EXISTS (SELECT 1 FROM grants g WHERE g.service_id = s.id AND g.user_id = ?)
	OR EXISTS (SELECT 1 FROM sessions e WHERE e.service_id = s.id AND e.user_id = ? AND e.state <> 'ended' AND e.invitation_id IS NULL))`

// LosePasses forgets a user's passes to a service that they may not use any more. It reports
// whether there were any.
func (t *Tx) LosePasses(u ownline.UserID, s ownline.ServiceID) (bool, error) {
	n, err := t.c.exec("DELETE FROM passes WHERE service_id = ? AND user_id = ? AND NOT EXISTS (SELECT 1 FROM services s WHERE s.id = ? AND s.removed = 0 AND "+mayPass+")",
		s.String(), u.String(), s.String(), u.String(), u.String())
	return n > 0, err
}

// forgetLogins deletes logins with their passes, and makes a revision of every site that held
// one of these: whoever signs out is out everywhere.
func (t *Tx) forgetLogins(where string, args ...any) (int64, error) {
	of := "(SELECT l.id FROM logins l WHERE " + where + ")"
	err := t.exec(`UPDATE sites SET revision = revision + 1
		WHERE id IN (SELECT s.site_id FROM passes p JOIN services s ON s.id = p.service_id WHERE p.login_id IN `+of+")", args...)
	if err != nil {
		return 0, err
	}
	if err := t.exec("DELETE FROM passes WHERE login_id IN "+of, args...); err != nil {
		return 0, err
	}
	return t.c.exec("DELETE FROM logins WHERE id IN "+of, args...)
}
