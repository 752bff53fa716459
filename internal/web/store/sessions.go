package store

import (
	"cmp"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

const sessionColumns = `e.id, e.site_id, e.user_id, e.service_id, e.device_id, e.source, e.public_port, e.reserved, e.transport, e.target,
	e.state, e.reason, e.detail, e.opened, e.expires, e.ended, e.successor, e.revision, e.up_bytes, e.up_packets, e.down_bytes, e.down_packets, e.invitation_id,
	e.ended_by`

func sessionDest(s *ownline.Session) []any {
	return []any{
		id(&s.ID), id(&s.Site), id(&s.User), id(&s.Service), id(&s.Device), prefix(&s.Source), &s.PublicPort, flag(&s.Reserved), &s.Transport, addrPort(&s.Target),
		&s.State, &s.Reason, &s.Detail, when(&s.Opened), when(&s.Expires), when(&s.EndedAt), id(&s.Successor), &s.Revision,
		&s.Traffic.UpBytes, &s.Traffic.UpPackets, &s.Traffic.DownBytes, &s.Traffic.DownPackets, id(&s.Invitation),
		id(&s.EndedBy),
	}
}

func scanSession(scan scanner) (s ownline.Session, err error) {
	err = scan(sessionDest(&s)...)
	return s, err
}

const sessionInfoFrom = sessionInfoColumns + " FROM sessions e" + sessionInfoJoins

const sessionInfoColumns = sessionColumns + ", t.name, t.host, u.name, s.name, s.kind, s.icon, coalesce(d.name, ''), coalesce(b.name, ''), t.proxy_driver, t.proxy_domain, t.proxy_port"

const sessionInfoJoins = ` JOIN sites t ON t.id = e.site_id JOIN users u ON u.id = e.user_id JOIN services s ON s.id = e.service_id
	LEFT JOIN devices d ON d.id = e.device_id LEFT JOIN users b ON b.id = e.ended_by`

func scanSessionInfo(scan scanner) (s ownline.SessionInfo, err error) {
	err = scan(append(sessionDest(&s.Session), &s.SiteName, &s.SiteHost, &s.UserName, &s.ServiceName, &s.ServiceKind, &s.ServiceIcon, &s.DeviceName, &s.EndedByName,
		&s.SiteProxy.Driver, &s.SiteProxy.Domain, &s.SiteProxy.Port)...)
	return s, err
}

// Session returns a session, or ErrNotFound.
func (t *Tx) Session(s ownline.SessionID) (ownline.SessionInfo, error) {
	return first(t, "session", s.String(), scanSessionInfo, "SELECT "+sessionInfoFrom+" WHERE e.id = ?", s.String())
}

// Sessions lists sessions, newest first.
func (t *Tx) Sessions(q ownline.SessionQuery) ([]ownline.SessionInfo, string, error) {
	limit, before, err := page(q.Page)
	if err != nil {
		return nil, "", err
	}
	asks := []ownline.SessionQuery{q}
	if len(q.Sources) > 1 {
		// A list for each source that there is, usually one: in order, all of many sources
		// are only found by reading the whole history.
		known, err := t.knownSources(q.Sources)
		if err != nil {
			return nil, "", err
		}
		asks = asks[:0]
		for _, p := range known {
			one := q
			one.Sources = []netip.Prefix{p}
			asks = append(asks, one)
		}
	}
	var ss []ownline.SessionInfo
	for _, ask := range asks {
		text, args, err := historyText(ask, before)
		if err != nil {
			return nil, "", err
		}
		some, err := all(t, scanSessionInfo, text, append(args, limit+1)...)
		if err != nil {
			return nil, "", err
		}
		ss = append(ss, some...)
	}
	slices.SortFunc(ss, func(a, b ownline.SessionInfo) int {
		return cmp.Or(b.Opened.Compare(a.Opened), strings.Compare(b.ID.String(), a.ID.String()))
	})
	ss, next := turn(ss, limit, func(s ownline.SessionInfo) string { return fmt.Sprintf("%d %s", ms(s.Opened), s.ID) })
	return ss, next, nil
}

// knownSources returns those that some session had.
func (t *Tx) knownSources(ps []netip.Prefix) ([]netip.Prefix, error) {
	args := make([]any, 0, len(ps))
	for _, p := range ps {
		args = append(args, p.String())
	}
	// Not EXISTS, for which PostgreSQL may read all sessions at once instead of looking up
	// each source.
	return all(t, func(scan scanner) (p netip.Prefix, err error) { err = scan(prefix(&p)); return p, err },
		"WITH asked (source) AS (VALUES (?)"+strings.Repeat(", (?)", len(ps)-1)+`)
		SELECT DISTINCT a.source FROM asked a WHERE (SELECT e.id FROM sessions e WHERE e.source = a.source LIMIT 1) IS NOT NULL`, args...)
}

// historyText returns the statement that reads a page, in any order; its last argument is
// how many.
func historyText(q ownline.SessionQuery, before string) (string, []any, error) {
	where, args := filter(q)
	if before != "" {
		opened, id, _ := strings.Cut(before, " ")
		at, err := strconv.ParseInt(opened, 10, 64)
		if err != nil {
			return "", nil, ownline.Invalid("cursor", "is not one that a list returned")
		}
		where, args = where+" AND (e.opened, e.id) < (?, ?)", append(args, at, id)
	}
	// The indexes for what is filtered by go on with these two, so that a page is read off
	// one of them however long the history is. Names are only looked up for those on it.
	return "SELECT " + sessionInfoColumns + " FROM (SELECT * FROM sessions e WHERE " + where +
		" ORDER BY e.opened DESC, e.id DESC LIMIT ?) e" + sessionInfoJoins, args, nil
}

// LiveSessions lists all live sessions that the query selects; its page is of no account.
func (t *Tx) LiveSessions(q ownline.SessionQuery) ([]ownline.SessionInfo, error) {
	q.Live = true
	where, args := filter(q)
	return all(t, scanSessionInfo, "SELECT "+sessionInfoFrom+" WHERE "+where, args...)
}

// GuestSessions lists the sessions of a site that invitations have opened since, but those that
// were over before gone; in the order in which they were opened.
func (t *Tx) GuestSessions(site ownline.SiteID, since, gone time.Time) ([]ownline.SessionInfo, error) {
	return all(t, scanSessionInfo, "SELECT "+sessionInfoFrom+` WHERE e.invitation_id IS NOT NULL AND e.site_id = ? AND e.opened >= ?
			AND (e.state <> 'ended' OR e.ended >= ?) ORDER BY e.opened, e.id`, site.String(), ms(since), ms(gone))
}

func filter(q ownline.SessionQuery) (string, []any) {
	where, args := "1 = 1", []any(nil)
	if q.Live || q.State != "" && q.State != ownline.Ended {
		where = "e.state <> 'ended'" // as in the indexes
	}
	if q.Ended {
		where += " AND e.state = 'ended'"
	}
	if len(q.Sources) > 0 {
		where += " AND e.source IN (?" + strings.Repeat(", ?", len(q.Sources)-1) + ")"
		for _, p := range q.Sources {
			args = append(args, p.String())
		}
	}
	if !q.From.IsZero() {
		where, args = where+" AND e.opened >= ?", append(args, ms(q.From))
	}
	if !q.Until.IsZero() {
		where, args = where+" AND e.opened < ?", append(args, ms(q.Until))
	}
	add := func(column, v string) { where, args = where+" AND e."+column+" = ?", append(args, v) }
	if q.State != "" {
		add("state", string(q.State))
	}
	if q.Reason != "" {
		add("reason", string(q.Reason))
	}
	if !q.User.IsZero() {
		add("user_id", q.User.String())
	}
	if !q.Site.IsZero() {
		add("site_id", q.Site.String())
	}
	if !q.Service.IsZero() {
		add("service_id", q.Service.String())
	}
	if !q.Device.IsZero() {
		add("device_id", q.Device.String())
	}
	if !q.Invitation.IsZero() {
		add("invitation_id", q.Invitation.String())
	}
	return where, args
}

// LiveNear lists the live sessions of a site that a new one for the source could meet:
// those of the same source, and those of the device (zero: none).
func (t *Tx) LiveNear(site ownline.SiteID, source netip.Prefix, device ownline.DeviceID) ([]ownline.Session, error) {
	q := "SELECT " + sessionColumns + " FROM sessions e WHERE e.state <> 'ended' AND e.site_id = ? AND e.source = ?"
	args := []any{site.String(), source.String()}
	if !device.IsZero() {
		q += " UNION SELECT " + sessionColumns + " FROM sessions e WHERE e.state <> 'ended' AND e.device_id = ?"
		args = append(args, device.String())
	}
	return all(t, scanSession, q, args...)
}

// AddSession adds a session.
func (t *Tx) AddSession(s ownline.Session) error {
	return t.exec(`INSERT INTO sessions (id, site_id, user_id, service_id, device_id, source, public_port, reserved, transport, target,
			state, reason, detail, opened, expires, ended, successor, revision, invitation_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		s.ID.String(), s.Site.String(), s.User.String(), s.Service.String(), maybe(s.Device), s.Source.String(), s.PublicPort, bit(s.Reserved),
		string(s.Transport), addrPortText(s.Target), string(s.State), string(s.Reason), s.Detail, ms(s.Opened), ms(s.Expires), ms(s.EndedAt),
		idText(s.Successor), s.Revision, maybe(s.Invitation))
}

// SaveSession writes a session's state, reason, detail, times, who ended it, successor and revision.
func (t *Tx) SaveSession(s ownline.Session) error {
	return t.exec("UPDATE sessions SET state = ?, reason = ?, detail = ?, expires = ?, ended = ?, ended_by = ?, successor = ?, revision = ? WHERE id = ?",
		string(s.State), string(s.Reason), s.Detail, ms(s.Expires), ms(s.EndedAt), idText(s.EndedBy), idText(s.Successor), s.Revision, s.ID.String())
}

// SaveTraffic writes a session's counters.
func (t *Tx) SaveTraffic(s ownline.SessionID, c ownline.Traffic) error {
	return t.exec("UPDATE sessions SET up_bytes = ?, up_packets = ?, down_bytes = ?, down_packets = ? WHERE id = ?",
		int64(c.UpBytes), int64(c.UpPackets), int64(c.DownBytes), int64(c.DownPackets), s.String())
}

// DueSessions lists the live sessions that expire at now or before.
func (t *Tx) DueSessions(now time.Time) ([]ownline.SessionInfo, error) {
	return all(t, scanSessionInfo, "SELECT "+sessionInfoFrom+" WHERE e.state <> 'ended' AND e.expires <= ?", ms(now))
}

// Unapplied lists the sessions of a site that were changed by later revisions than after,
// newest first and no more than limit, and counts them all.
func (t *Tx) Unapplied(site ownline.SiteID, after uint64, limit int) (ss []ownline.SessionInfo, n int, err error) {
	const where = " WHERE e.site_id = ? AND e.revision > ?"
	if err := t.one("SELECT count(*) FROM sessions e"+where, []any{site.String(), int64(after)}, &n); err != nil || n == 0 {
		return nil, 0, err
	}
	ss, err = all(t, scanSessionInfo, "SELECT "+sessionInfoFrom+where+" ORDER BY e.id DESC LIMIT ?", site.String(), int64(after), limit)
	return ss, n, err
}

// NextExpiry returns when the next live session expires; zero when none lives.
func (t *Tx) NextExpiry() (at time.Time, err error) {
	err = t.one("SELECT expires FROM sessions WHERE state <> 'ended' ORDER BY expires LIMIT 1", nil, when(&at))
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return at, err
}

// Idempotent returns the session that was opened under a user's key, and what was asked
// for; the zero SessionID when the key is new or older than since.
func (t *Tx) Idempotent(u ownline.UserID, key string, since time.Time) (s ownline.SessionID, ask string, err error) {
	err = t.one("SELECT session_id, ask FROM idempotency WHERE user_id = ? AND key = ? AND created > ?",
		[]any{idText(u), key, ms(since)}, id(&s), &ask)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return s, ask, err
}

// KeepIdempotent remembers the session that was opened under a user's key.
func (t *Tx) KeepIdempotent(u ownline.UserID, key, ask string, s ownline.SessionID, now time.Time) error {
	return t.exec(`INSERT INTO idempotency (user_id, key, ask, session_id, created) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (user_id, key) DO UPDATE SET ask = excluded.ask, session_id = excluded.session_id, created = excluded.created`,
		idText(u), key, ask, s.String(), ms(now))
}

// ForgetIdempotent forgets the keys of a session, so that they can be tried again.
func (t *Tx) ForgetIdempotent(s ownline.SessionID) error {
	return t.exec("DELETE FROM idempotency WHERE session_id = ?", s.String())
}

// Sweep forgets logins and tokens that are over at now, and keys that are older than since.
func (t *Tx) Sweep(now, since time.Time) error {
	if err := t.exec("DELETE FROM passes WHERE expires <= ?", ms(now)); err != nil { // core has ended them by itself
		return err
	}
	if _, err := t.forgetLogins("l.expires <= ?", ms(now)); err != nil {
		return err
	}
	if err := t.exec("DELETE FROM spent_steps WHERE expires <= ?", ms(now)); err != nil {
		return err
	}
	if err := t.exec("DELETE FROM tokens WHERE expires <> 0 AND expires <= ?", ms(now)); err != nil {
		return err
	}
	if err := t.exec("DELETE FROM idempotency WHERE created <= ?", ms(since)); err != nil {
		return err
	}
	if err := t.sweepInvitations(now); err != nil {
		return err
	}
	return t.sweepKnocks()
}
