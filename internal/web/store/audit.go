package store

import (
	"net/netip"
	"strconv"

	"github.com/ownline/ownline/internal/ownline"
)

// AuditLines lists lines of the audit log, newest first.
func (t *Tx) AuditLines(q ownline.AuditQuery) ([]ownline.AuditLine, string, error) {
	limit, before, err := page(q.Page)
	if err != nil {
		return nil, "", err
	}
	where, args := "1 = 1", []any(nil)
	add := func(condition string, v any) { where, args = where+" AND "+condition, append(args, v) }
	if before != "" {
		n, err := strconv.ParseInt(before, 10, 64)
		if err != nil {
			return nil, "", ownline.Invalid("cursor", "is not one that a list returned")
		}
		add("a.id < ?", n)
	}
	if !q.Actor.IsZero() {
		add("a.actor = ?", q.Actor.String())
	}
	if q.By != "" {
		add("a.how = ?", q.By)
	}
	if q.Action != "" {
		// '/' is the character after '.', so this is whatever begins with the word and a dot.
		where += " AND (a.action = ? OR (a.action >= ? AND a.action < ?))"
		args = append(args, q.Action, q.Action+".", q.Action+"/")
	}
	if q.Subject != "" {
		add("a.subject = ?", q.Subject)
	}
	if !q.Site.IsZero() {
		add("a.site = ?", q.Site.String())
	}
	if !q.From.IsZero() {
		add("a.at >= ?", ms(q.From))
	}
	if !q.Until.IsZero() {
		add("a.at < ?", ms(q.Until))
	}
	lines, err := all(t, scanAuditLine, `SELECT a.id, a.at, a.actor, a.how, a.client, a.action, a.subject, a.site, a.detail, coalesce(u.name, ''), coalesce(s.name, '')
		FROM audit a LEFT JOIN users u ON u.id = a.actor LEFT JOIN sites s ON s.id = a.site
		WHERE `+where+" ORDER BY a.id DESC LIMIT ?", append(args, limit+1)...)
	if err != nil {
		return nil, "", err
	}
	lines, next := turn(lines, limit, func(l ownline.AuditLine) string { return strconv.FormatInt(l.Number, 10) })
	return lines, next, nil
}

func scanAuditLine(scan scanner) (l ownline.AuditLine, err error) {
	var client string
	err = scan(&l.Number, when(&l.At), id(&l.Actor), &l.By, &client, &l.Action, &l.Subject, id(&l.Site), &l.Detail, &l.ActorName, &l.SiteName)
	if err == nil && client != "" {
		l.Client, err = netip.ParseAddr(client)
	}
	return l, err
}
