package store

import (
	"errors"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// LinkKey returns web's link key as PEM.
func (t *Tx) LinkKey() (ownline.Secret, error) {
	pem, err := t.sealedSetting(settingIdentity)
	return pem, err
}

// SetLinkKey replaces web's link key at once; no other is to come then.
func (t *Tx) SetLinkKey(pem ownline.Secret) error {
	return errors.Join(t.sealSetting(settingIdentity, pem), t.SetSetting(settingNextIdentity, ""), t.SetSetting(settingNextKnown, ""))
}

// PasswordHashes returns the hash of every user's password.
func (t *Tx) PasswordHashes() (map[ownline.UserID]string, error) {
	out := map[ownline.UserID]string{}
	_, err := all(t, func(scan scanner) (u ownline.UserID, err error) {
		var hash string
		err = scan(id(&u), &hash)
		out[u] = hash
		return u, err
	}, "SELECT id, password FROM users WHERE removed = 0")
	return out, err
}

// DeviceSecrets returns the secret of every device that was not removed.
func (t *Tx) DeviceSecrets() (map[ownline.DeviceID]ownline.Secret, error) {
	b, err := t.box()
	if err != nil {
		return nil, err
	}
	out := map[ownline.DeviceID]ownline.Secret{}
	_, err = all(t, func(scan scanner) (d ownline.DeviceID, err error) {
		var sealed []byte
		if err := scan(id(&d), &sealed); err != nil {
			return d, err
		}
		out[d], err = b.open(sealed, d.String())
		return d, err
	}, "SELECT id, secret FROM devices WHERE removed = 0")
	return out, err
}

// AddHistory adds a session that is over, and reports whether it is new. A site, user,
// service or device that it concerned and that is not there gets a row as those have that
// were removed, so that history names it; an invitation that is not there is left out.
func (t *Tx) AddHistory(s ownline.SessionInfo) (bool, error) {
	var n int
	if err := t.one("SELECT count(*) FROM sessions WHERE id = ?", []any{s.ID.String()}, &n); err != nil || n > 0 {
		return false, err
	}
	gone, opened := ms(s.EndedAt), ms(s.Opened)
	for _, row := range []struct {
		q    string
		args []any
	}{
		{
			`INSERT INTO sites (id, name, host, link, pin, knock_port, local_networks, reserved_ports, ipv6_prefix, revision, created, removed, cleared)
			VALUES (?, ?, ?, '', '', 0, '', '', 64, 0, ?, ?, 1) ON CONFLICT (id) DO NOTHING`,
			[]any{s.Site.String(), s.SiteName, s.SiteHost, opened, gone},
		},
		{
			"INSERT INTO users (id, name, password, role, disabled, created, removed) VALUES (?, ?, '', 'user', 1, ?, ?) ON CONFLICT (id) DO NOTHING",
			[]any{s.User.String(), s.UserName, opened, gone},
		},
		{
			`INSERT INTO services (id, site_id, name, kind, transport, target4, target6, icon, created, removed)
			VALUES (?, ?, ?, ?, ?, '', '', '', ?, ?) ON CONFLICT (id) DO NOTHING`,
			[]any{s.Service.String(), s.Site.String(), s.ServiceName, string(s.ServiceKind), string(s.Transport), opened, gone},
		},
	} {
		if err := t.exec(row.q, row.args...); err != nil {
			return false, err
		}
	}
	if !s.Device.IsZero() {
		sealed, err := t.seal(deviceSecret, s.Device.String(), nil)
		if err != nil {
			return false, err
		}
		err = t.exec(`INSERT INTO devices (id, user_id, site_id, name, secret, require_claimed, revoked, created, removed)
			VALUES (?, ?, ?, ?, ?, 0, 1, ?, ?) ON CONFLICT (id) DO NOTHING`,
			s.Device.String(), s.User.String(), s.Site.String(), s.DeviceName, sealed, opened, gone)
		if err != nil {
			return false, err
		}
	}
	if !s.Invitation.IsZero() {
		var known int
		if err := t.one("SELECT count(*) FROM invitations WHERE id = ?", []any{s.Invitation.String()}, &known); err != nil {
			return false, err
		}
		if known == 0 {
			s.Invitation = ownline.InvitationID{}
		}
	}
	if err := t.AddSession(s.Session); err != nil {
		return false, err
	}
	return true, t.SaveTraffic(s.ID, s.Traffic)
}

// SaveDevice writes a device's name, what it is, and whether its knocks must name their source.
func (t *Tx) SaveDevice(d ownline.Device) error {
	return t.exec("UPDATE devices SET name = ?, fwknop = ?, require_claimed = ?, allowed_from = ? WHERE id = ? AND removed = 0", d.Name, d.Fwknop, bit(d.RequireClaimedSource), string(d.AllowedFrom), d.ID.String())
}

// revive gives back their place to a user, site, service or device of that table who was
// removed, under a name, and reports whether there was one. The rest is for the Save
// methods to write.
func (t *Tx) revive(table, id, name string, created time.Time, more string) (bool, error) {
	rows, err := t.c.exec("UPDATE "+table+" SET removed = 0, name = ?, created = ?"+more+" WHERE id = ? AND removed <> 0", name, ms(created), id)
	return rows == 1, err
}

// ReviveUser takes back that a user was removed, under the name that they have now, and
// reports whether they were.
func (t *Tx) ReviveUser(u ownline.User) (bool, error) {
	ok, err := t.revive("users", u.ID.String(), u.Name, u.Created, "")
	if err = t.taken(err, "name", "is another user's already"); err != nil || !ok {
		return false, err
	}
	return true, t.SaveUser(u)
}

// ReviveService is ReviveUser for services.
func (t *Tx) ReviveService(s ownline.Service) (bool, error) {
	ok, err := t.revive("services", s.ID.String(), s.Name, s.Created, "")
	if err = t.taken(err, "name", "is another service's at this site already"); err != nil || !ok {
		return false, err
	}
	return true, t.SaveService(s)
}

// ReviveSite is ReviveUser for sites. Where its core is and by which key it is known is
// written too; its revision only grows.
func (t *Tx) ReviveSite(s ownline.Site) (bool, error) {
	ok, err := t.revive("sites", s.ID.String(), s.Name, s.Created, ", cleared = 0")
	if err = t.taken(err, "name", "is another site's already"); err != nil || !ok {
		return false, err
	}
	if err := t.PairSite(s); err != nil {
		return false, err
	}
	return true, t.SaveSite(s)
}

// ReviveDevice is ReviveUser for devices, with their secret.
func (t *Tx) ReviveDevice(d ownline.Device) (bool, error) {
	more := ", revoked = 0"
	if d.Revoked {
		more = ", revoked = 1"
	}
	ok, err := t.revive("devices", d.ID.String(), d.Name, d.Created, more)
	if err != nil || !ok {
		return false, err
	}
	if err := t.SaveDevice(d); err != nil {
		return false, err
	}
	return true, t.SetDeviceSecret(d.ID, d.Secret)
}
