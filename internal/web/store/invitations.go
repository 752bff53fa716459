package store

import (
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

const invitationColumns = "i.id, i.user_id, i.service_id, i.message, i.duration, i.uses, i.used, i.countries, i.created, i.expires, i.revoked"

const invitationFrom = invitationColumns + `, u.name, s.name, s.kind, s.transport, s.icon, s.target4 <> '', s.target6 <> '', t.id, t.name, t.host, t.proxy_driver, t.proxy_domain, t.proxy_port
	FROM invitations i JOIN users u ON u.id = i.user_id JOIN services s ON s.id = i.service_id JOIN sites t ON t.id = s.site_id`

func scanInvitation(scan scanner) (i ownline.InvitationInfo, err error) {
	err = scan(id(&i.ID), id(&i.User), id(&i.Service), &i.Message, span(&i.For), &i.Uses, &i.Used, list(&i.Countries, asIs),
		when(&i.Created), when(&i.Expires), when(&i.Revoked),
		&i.UserName, &i.ServiceName, &i.ServiceKind, &i.ServiceTransport, &i.ServiceIcon, &i.Target4, &i.Target6, id(&i.Site), &i.SiteName, &i.SiteHost,
		&i.SiteProxy.Driver, &i.SiteProxy.Domain, &i.SiteProxy.Port)
	return i, err
}

func asIs(s string) (string, error) { return s, nil }

// Invitation returns an invitation, also one that is over, or ErrNotFound.
func (t *Tx) Invitation(i ownline.InvitationID) (ownline.InvitationInfo, error) {
	return first(t, "invitation", i.String(), scanInvitation, "SELECT "+invitationFrom+" WHERE i.id = ?", i.String())
}

// InvitationByHash returns the invitation whose secret has that hash, or ErrNotFound.
func (t *Tx) InvitationByHash(hash []byte) (ownline.InvitationInfo, error) {
	return first(t, "invitation", "", scanInvitation, "SELECT "+invitationFrom+" WHERE i.hash = ?", hash)
}

// Invitations lists invitations, newest first.
func (t *Tx) Invitations(q ownline.InvitationQuery) ([]ownline.InvitationInfo, string, error) {
	limit, before, err := page(q.Page)
	if err != nil {
		return nil, "", err
	}
	where, args := "1 = 1", []any(nil)
	add := func(condition string, vs ...any) { where, args = where+" AND "+condition, append(args, vs...) }
	if before != "" {
		add("i.id < ?", before)
	}
	if !q.User.IsZero() {
		add("i.user_id = ?", q.User.String())
	}
	if !q.Service.IsZero() {
		add("i.service_id = ?", q.Service.String())
	}
	if !q.Site.IsZero() {
		add("s.site_id = ?", q.Site.String())
	}
	switch q.State { // as ownline.Invitation.State has it
	case ownline.InvitationRevoked:
		add("i.revoked <> 0")
	case ownline.InvitationExpired:
		add("i.revoked = 0 AND i.expires <= ?", ms(q.Now))
	case ownline.InvitationUsed:
		add("i.revoked = 0 AND i.expires > ? AND i.used >= i.uses", ms(q.Now))
	case ownline.InvitationValid:
		add("i.revoked = 0 AND i.expires > ? AND i.used < i.uses", ms(q.Now))
	}
	is, err := all(t, scanInvitation, "SELECT "+invitationFrom+" WHERE "+where+" ORDER BY i.id DESC LIMIT ?", append(args, limit+1)...)
	if err != nil {
		return nil, "", err
	}
	is, next := turn(is, limit, func(i ownline.InvitationInfo) string { return i.ID.String() })
	return is, next, nil
}

// InvitationEnds tells, by user and service of a site, when the last invitation ends that can be
// redeemed at now; what ends last comes first.
func (t *Tx) InvitationEnds(s ownline.SiteID, now time.Time) ([]ownline.InvitationEnd, error) {
	return all(t, func(scan scanner) (e ownline.InvitationEnd, err error) {
		err = scan(id(&e.User), id(&e.Service), when(&e.Last))
		return e, err
	}, `SELECT i.user_id, i.service_id, MAX(i.expires) AS last FROM invitations i JOIN services s ON s.id = i.service_id
			WHERE s.site_id = ? AND i.revoked = 0 AND i.expires > ? AND i.used < i.uses
			GROUP BY i.user_id, i.service_id ORDER BY last DESC, i.user_id, i.service_id`, s.String(), ms(now))
}

// AddInvitation adds an invitation with the hash of its secret, and what opens sealed redeems,
// which is kept sealed.
func (t *Tx) AddInvitation(i ownline.Invitation, hash []byte, unseals ownline.Secret) error {
	sealed, err := t.seal(invitationUnseals, i.ID.String(), unseals)
	if err != nil {
		return err
	}
	return t.exec(`INSERT INTO invitations (id, user_id, service_id, message, duration, uses, used, countries, hash, unseals, created, expires)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		i.ID.String(), i.User.String(), i.Service.String(), i.Message, i.For.Milliseconds(), i.Uses, i.Used, joined(i.Countries), hash,
		sealed, ms(i.Created), ms(i.Expires))
}

// Use takes one use of an invitation and reports whether there was one to take at now. Two
// who take the last one at once can't both have it.
func (t *Tx) Use(i ownline.InvitationID, now time.Time) (bool, error) {
	rows, err := t.c.exec("UPDATE invitations SET used = used + 1 WHERE id = ? AND used < uses AND revoked = 0 AND expires > ?", i.String(), ms(now))
	return rows == 1, err
}

// Unuse gives a use back that opened nothing.
func (t *Tx) Unuse(i ownline.InvitationID) error {
	return t.exec("UPDATE invitations SET used = used - 1 WHERE id = ? AND used > 0", i.String())
}

// RevokeInvitation makes an invitation worthless.
func (t *Tx) RevokeInvitation(i ownline.InvitationID, now time.Time) error {
	return t.exec("UPDATE invitations SET revoked = ? WHERE id = ? AND revoked = 0", ms(now), i.String())
}

// RedeemOnce records the nonce of a sealed redeem and reports whether it is new.
func (t *Tx) RedeemOnce(i ownline.InvitationID, nonce []byte, now time.Time) (bool, error) {
	rows, err := t.c.exec("INSERT INTO redeems (invitation_id, nonce, at) VALUES (?, ?, ?) ON CONFLICT (invitation_id, nonce) DO NOTHING",
		i.String(), nonce, ms(now))
	return rows == 1, err
}

// Unsealing returns, by invitation, what opens its sealed redeems: of all that are answered
// still, also to say that they are over.
func (t *Tx) Unsealing() (map[ownline.InvitationID]ownline.Secret, error) {
	b, err := t.box()
	if err != nil {
		return nil, err
	}
	out := make(map[ownline.InvitationID]ownline.Secret)
	_, err = all(t, func(scan scanner) (struct{}, error) {
		var i ownline.InvitationID
		var sealed []byte
		if err := scan(id(&i), &sealed); err != nil {
			return struct{}{}, err
		}
		secret, err := b.open(sealed, i.String())
		out[i] = secret
		return struct{}{}, err
	}, "SELECT id, unseals FROM invitations WHERE unseals IS NOT NULL")
	return out, err
}

// unsealAge is for how long a guest is told that an invitation is over; then the keys to tell
// it with are forgotten.
const unsealAge = 7 * 24 * time.Hour

// sweepInvitations forgets the keys of invitations that are long over, and the redeems that
// they make superfluous.
func (t *Tx) sweepInvitations(now time.Time) error {
	over := ms(now.Add(-unsealAge))
	if err := t.exec(`DELETE FROM redeems WHERE invitation_id IN (SELECT id FROM invitations
			WHERE unseals IS NOT NULL AND (expires <= ? OR (revoked <> 0 AND revoked <= ?)))`, over, over); err != nil {
		return err
	}
	return t.exec("UPDATE invitations SET unseals = NULL WHERE unseals IS NOT NULL AND (expires <= ? OR (revoked <> 0 AND revoked <= ?))", over, over)
}
