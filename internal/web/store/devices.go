package store

import (
	"net/netip"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

const deviceColumns = "d.id, d.user_id, d.site_id, d.name, d.fwknop, d.require_claimed, d.allowed_from, d.revoked, d.last_knock, d.last_source, d.created"

func deviceDest(d *ownline.Device) []any {
	return []any{
		id(&d.ID), id(&d.User), id(&d.Site), &d.Name, &d.Fwknop, flag(&d.RequireClaimedSource), &d.AllowedFrom, flag(&d.Revoked),
		when(&d.LastKnock), prefix(&d.LastSource), when(&d.Created),
	}
}

func scanDevice(scan scanner) (d ownline.Device, err error) {
	err = scan(deviceDest(&d)...)
	return d, err
}

// Device returns a device that was not removed, without its secret, or ErrNotFound.
func (t *Tx) Device(d ownline.DeviceID) (ownline.Device, error) {
	return first(t, "device", d.String(), scanDevice, "SELECT "+deviceColumns+" FROM devices d WHERE d.id = ? AND d.removed = 0", d.String())
}

// Devices lists the devices of a user (zero: of all) at a site (zero: at all), oldest
// first, without their secrets.
func (t *Tx) Devices(p ownline.Page, user ownline.UserID, site ownline.SiteID) ([]ownline.Device, string, error) {
	limit, after, err := page(p)
	if err != nil {
		return nil, "", err
	}
	q, args := "SELECT "+deviceColumns+" FROM devices d WHERE d.removed = 0 AND d.id > ?", []any{after}
	if !user.IsZero() {
		q, args = q+" AND d.user_id = ?", append(args, user.String())
	}
	if !site.IsZero() {
		q, args = q+" AND d.site_id = ?", append(args, site.String())
	}
	ds, err := all(t, scanDevice, q+" ORDER BY d.id LIMIT ?", append(args, limit+1)...)
	if err != nil {
		return nil, "", err
	}
	ds, next := turn(ds, limit, func(d ownline.Device) string { return d.ID.String() })
	return ds, next, nil
}

// DevicesOf lists all devices of a user, without their secrets.
func (t *Tx) DevicesOf(user ownline.UserID) ([]ownline.Device, error) {
	return all(t, scanDevice, "SELECT "+deviceColumns+" FROM devices d WHERE d.user_id = ? AND d.removed = 0", user.String())
}

// AddDevice adds a device; its secret is kept sealed.
func (t *Tx) AddDevice(d ownline.Device) error {
	sealed, err := t.seal(deviceSecret, d.ID.String(), d.Secret)
	if err != nil {
		return err
	}
	return t.exec("INSERT INTO devices (id, user_id, site_id, name, secret, fwknop, require_claimed, allowed_from, revoked, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		d.ID.String(), d.User.String(), d.Site.String(), d.Name, sealed, d.Fwknop,
		bit(d.RequireClaimedSource), string(d.AllowedFrom), bit(d.Revoked), ms(d.Created))
}

// SetDeviceSecret gives a device another secret.
func (t *Tx) SetDeviceSecret(d ownline.DeviceID, secret ownline.Secret) error {
	sealed, err := t.seal(deviceSecret, d.String(), secret)
	if err != nil {
		return err
	}
	return t.exec("UPDATE devices SET secret = ? WHERE id = ?", sealed, d.String())
}

// RevokeDevice makes a device's knocks count no more.
func (t *Tx) RevokeDevice(d ownline.DeviceID) error {
	return t.exec("UPDATE devices SET revoked = 1 WHERE id = ?", d.String())
}

// RemoveDevice revokes a device and takes it off the lists.
func (t *Tx) RemoveDevice(d ownline.DeviceID, now time.Time) error {
	return t.exec("UPDATE devices SET revoked = 1, removed = ? WHERE id = ?", ms(now), d.String())
}

// CoreDevices lists, with their secrets, the devices whose knocks the site's core is to
// verify: those that are not revoked, of users who are not disabled. FwknopDevices lists those that
// are fwknop clients.
func (t *Tx) CoreDevices(site ownline.SiteID) ([]link.Device, error) {
	b, err := t.box()
	if err != nil {
		return nil, err
	}
	return all(t, func(scan scanner) (d link.Device, err error) {
		var sealed []byte
		if err := scan(id(&d.ID), &sealed, flag(&d.RequireClaimedSource)); err != nil {
			return d, err
		}
		d.Secret, err = b.open(sealed, d.ID.String())
		return d, err
	}, `SELECT d.id, d.secret, d.require_claimed FROM devices d JOIN users u ON u.id = d.user_id
		WHERE d.site_id = ? AND d.fwknop = '' AND d.revoked = 0 AND d.removed = 0 AND u.disabled = 0 AND u.removed = 0`, site.String())
}

// FwknopDevices lists, with their secrets, the fwknop clients whose packets count at a site:
// those that are not revoked, of users who are not disabled.
func (t *Tx) FwknopDevices(site ownline.SiteID) ([]ownline.Device, error) {
	return t.secretDevices("d.site_id = ? AND d.fwknop <> '' AND d.revoked = 0 AND d.removed = 0 AND u.disabled = 0 AND u.removed = 0", site.String())
}

// DeviceSecret returns the secret of a device that was not removed, or ErrNotFound.
func (t *Tx) DeviceSecret(d ownline.DeviceID) (ownline.Secret, error) {
	ds, err := t.secretDevices("d.id = ? AND d.removed = 0", d.String())
	switch {
	case err != nil:
		return nil, err
	case len(ds) == 0:
		return nil, ownline.NotFound("device", d.String())
	}
	return ds[0].Secret, nil
}

// secretDevices lists devices with their secrets.
func (t *Tx) secretDevices(where, arg string) ([]ownline.Device, error) {
	b, err := t.box()
	if err != nil {
		return nil, err
	}
	return all(t, func(scan scanner) (d ownline.Device, err error) {
		var sealed []byte
		if err := scan(append(deviceDest(&d), &sealed)...); err != nil {
			return d, err
		}
		d.Secret, err = b.open(sealed, d.ID.String())
		return d, err
	}, "SELECT "+deviceColumns+", d.secret FROM devices d JOIN users u ON u.id = d.user_id WHERE "+where, arg)
}

// Knocker returns who knocked: a device, its user and its site, none of them removed, or
// ErrNotFound.
func (t *Tx) Knocker(device ownline.DeviceID) (d ownline.Device, u ownline.User, s ownline.Site, err error) {
	_, err = first(t, "device", device.String(), func(scan scanner) (struct{}, error) {
		dest := append(deviceDest(&d), id(&u.ID), &u.Name, &u.Role, flag(&u.Disabled), when(&u.Created))
		err := scan(append(dest, siteDest(&s)...)...)
		return struct{}{}, err
	}, "SELECT "+deviceColumns+`, u.id, u.name, u.role, u.disabled, u.created,
			s.id, s.name, s.host, s.link, s.pin, s.knock_port, s.fwknop_port, s.local_networks, s.reserved_ports,
			s.proxy_driver, s.proxy_domain, s.proxy_port, s.ipv6_prefix, s.allowed_from, s.revision, s.removed, s.created
		FROM devices d JOIN users u ON u.id = d.user_id JOIN sites s ON s.id = d.site_id
		WHERE d.id = ? AND d.removed = 0 AND u.removed = 0 AND s.removed = 0`, device.String())
	return d, u, s, err
}

// AcceptKnock records a knock of the device and reports whether it counts, by the rule of
// knock.Memory: its nonce is new and it was made after the device's floor, which is the
// newest knock so far less twice the skew. When it does not count, the transaction must be
// given up.
func (t *Tx) AcceptKnock(d ownline.DeviceID, n knock.Nonce, made time.Time, skew time.Duration, source netip.Prefix, now time.Time) (bool, error) {
	// A nonce at or below the floor is forgotten already, whether or not it was swept.
	rows, err := t.c.exec(`INSERT INTO knocks (device_id, nonce, made) VALUES (?, ?, ?)
		ON CONFLICT (device_id, nonce) DO UPDATE SET made = excluded.made
		WHERE knocks.made <= (SELECT floor FROM devices WHERE id = excluded.device_id)`,
		d.String(), n[:], ms(made))
	if err != nil || rows == 0 {
		return false, err
	}
	// The floor never goes back, and a knock at or below it leaves the row alone.
	rows, err = t.c.exec(`UPDATE devices SET last_knock = ?, last_source = ?,
			floor = CASE WHEN floor < ? THEN ? ELSE floor END WHERE id = ? AND floor < ?`,
		ms(now), prefixText(source), ms(made.Add(-2*skew)), ms(made.Add(-2*skew)), d.String(), ms(made))
	return rows == 1, err
}

// sweepKnocks forgets the nonces that the floors make superfluous.
func (t *Tx) sweepKnocks() error {
	return t.exec("DELETE FROM knocks WHERE made <= (SELECT floor FROM devices WHERE devices.id = knocks.device_id)")
}
