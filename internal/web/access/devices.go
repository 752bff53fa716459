package access

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/pem"
	"fmt"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
)

// NewDevice is what is told of a new device.
type NewDevice struct {
	User                 ownline.UserID // zero: the actor's own; another's only by an admin
	Site                 ownline.SiteID
	Name                 string
	RequireClaimedSource bool
	Fwknop               string   // it is an fwknop client, whose packets have this HMAC; "": it is none
	AllowedFrom          []string // countries, autonomous systems and networks, told by an admin; none: anywhere
}

// Enrolment is what a new device is told, once: a profile, or what an fwknop client needs.
type Enrolment struct {
	ownline.Profile
	Fwknop *FwknopClient // nil: it is none
}

// DeviceQuery selects devices; zero fields select all.
type DeviceQuery struct {
	ownline.Page
	User ownline.UserID
	Site ownline.SiteID
}

// Devices lists devices, oldest first, without their secrets: an admin all, others their
// own.
func (a *Access) Devices(ctx context.Context, actor Actor, q DeviceQuery) (ds []ownline.Device, next string, err error) {
	if err := actor.May(ownline.ScopeRead, ownline.ScopeDevices, ownline.ScopeAdmin); err != nil {
		return nil, "", err
	}
	if q.User, err = actor.onlyOwn(q.User); err != nil {
		return nil, "", err
	}
	err = a.store.Read(ctx, func(tx Tx) (err error) {
		ds, next, err = tx.Devices(q.Page, q.User, q.Site)
		return err
	})
	return ds, next, err
}

// Device returns one of those that Devices lists.
func (a *Access) Device(ctx context.Context, actor Actor, id ownline.DeviceID) (d ownline.Device, err error) {
	if err := actor.May(ownline.ScopeRead, ownline.ScopeDevices, ownline.ScopeAdmin); err != nil {
		return d, err
	}
	err = a.store.Read(ctx, func(tx Tx) (err error) {
		d, err = deviceFor(tx, actor.sees, id)
		return err
	})
	return d, err
}

// deviceFor returns a device that belongs to whom is says.
func deviceFor(tx Tx, is func(ownline.UserID) bool, id ownline.DeviceID) (ownline.Device, error) {
	d, err := tx.Device(id)
	if err == nil && !is(d.User) {
		return ownline.Device{}, ownline.NotFound("device", id.String())
	}
	return d, err
}

// AddDevice makes a device and its profile, which is shown this once. It waits a moment for
// core to learn of the device, but does not fail when core can't be reached.
func (a *Access) AddDevice(ctx context.Context, actor Actor, n NewDevice) (ownline.Device, Enrolment, error) {
	if err := cmp.Or(actor.May(ownline.ScopeDevices, ownline.ScopeAdmin), checkLabel("name", n.Name, 1), checkFwknop(n.Fwknop)); err != nil {
		return ownline.Device{}, Enrolment{}, err
	}
	if n.User.IsZero() {
		n.User = actor.User.ID
	}
	if !actor.owns(n.User) {
		return ownline.Device{}, Enrolment{}, ownline.Forbidden("user", "only an admin may add a device for somebody else")
	}
	if n.User.IsZero() {
		return ownline.Device{}, Enrolment{}, ownline.Invalid("user", "is needed: whose device is it?")
	}
	if len(n.AllowedFrom) > 0 {
		if err := actor.MustAdmin(); err != nil {
			return ownline.Device{}, Enrolment{}, ownline.Forbidden("allowed_from", "only an admin may say from where a device opens sessions")
		}
	}
	d := ownline.Device{
		ID: ownline.NewID[ownline.Device](), User: n.User, Site: n.Site, Name: n.Name, Secret: newSecret(),
		Fwknop: n.Fwknop, RequireClaimedSource: n.RequireClaimedSource, Created: now(),
	}
	var profile Enrolment
	err := a.changeAndEnforce(ctx, actor, func(c *change) (err error) {
		if _, err := c.User(d.User); err != nil {
			return err
		}
		site, err := siteFor(c.Tx, actor, d.Site)
		if err != nil {
			return err
		}
		if err := nameIsFree(c.Tx, d); err != nil {
			return err
		}
		if d.AllowedFrom, err = a.allowedFrom(c.Tx, site.ID, n.AllowedFrom); err != nil {
			return err
		}
		if profile, err = a.enrol(c.Tx, d, site); err != nil {
			return err
		}
		if err := c.AddDevice(d); err != nil {
			return err
		}
		if err := c.whole(d.Site); err != nil {
			return err
		}
		return c.device("device.add", "", d, false)
	})
	if err != nil {
		return ownline.Device{}, Enrolment{}, err
	}
	d.Secret = nil
	return d, profile, nil
}

// nameIsFree refuses a name that another device of the user has at the site: nobody could tell them apart. The
// name of one that is revoked is free again, and imports bring what there was.
func nameIsFree(tx Tx, d ownline.Device) error {
	others, err := tx.DevicesOf(d.User)
	if err != nil {
		return err
	}
	for _, o := range others {
		if o.ID != d.ID && o.Site == d.Site && o.Name == d.Name && !o.Revoked {
			return ownline.Conflict("name", "is another device's of this user at this site already")
		}
	}
	return nil
}

func newSecret() ownline.Secret {
	b := make(ownline.Secret, ownline.SecretSize)
	rand.Read(b) // never fails: crypto/rand crashes the program instead
	return b
}

// siteFor returns a site that the actor may know of.
func siteFor(tx Tx, actor Actor, id ownline.SiteID) (ownline.Site, error) {
	ss, err := sitesFor(tx, actor)
	if err != nil {
		return ownline.Site{}, err
	}
	for _, s := range ss {
		if s.ID == id {
			return s, nil
		}
	}
	return ownline.Site{}, ownline.NotFound("site", id.String())
}

// enrol makes what the device is shown once.
func (a *Access) enrol(tx Tx, d ownline.Device, s ownline.Site) (e Enrolment, err error) {
	if s.KnockPort == 0 {
		return e, ownline.Conflict("site", "its core has not told its knock port yet; try again once it is connected")
	}
	if s.Host == "localhost" { // as a site is called that paired by file
		return e, ownline.Conflict("site", fmt.Sprintf("devices would knock at %s, which is themselves: name the router's public host first, `ownline-web site set %s --host HOST`", s.Host, s.Name))
	}
	if d.Fwknop != "" {
		e.Fwknop, err = a.fwknopClient(tx, d, s)
	} else {
		e.Profile, err = a.profileOf(tx, d, s)
	}
	return e, err
}

func (a *Access) profileOf(tx Tx, d ownline.Device, s ownline.Site) (ownline.Profile, error) {
	b := a.broker
	if a.ownBroker {
		var err error
		if b.Password, err = knock.BrokerPassword(d.Secret, s.ID); err != nil {
			return ownline.Profile{}, err
		}
		b.Username = d.ID.String()
	}
	if a.signed != "" && b.URL != "" && b.Authority == nil {
		var err error
		if b.Authority, err = a.signer(tx); err != nil {
			return ownline.Profile{}, err
		}
	}
	return ownline.Profile{Host: s.Host, Port: s.KnockPort, Site: s.ID, Device: d.ID, Key: d.Secret, Name: s.Name, Broker: b}, nil
}

// signer returns the certificate of the router's own authority that signs for the broker; nil: it
// is one that devices know.
func (a *Access) signer(tx Tx) ([]byte, error) {
	c, err := tx.BrokerCertificate()
	if err != nil {
		return nil, err
	}
	root := c.Root
	if c.Name != a.signed || c.Chain == "" {
		// It has not signed yet. What it will sign with is known as soon as it is connected.
		sites, err := tx.Sites()
		if err != nil {
			return nil, err
		}
		root = ""
		for _, s := range sites {
			if s.Proxy.BrokerHost() == a.signed {
				root = a.enforcer.Health(s.ID).Root
			}
		}
	}
	if block, _ := pem.Decode([]byte(root)); block != nil {
		return block.Bytes, nil
	}
	return nil, nil
}

// device publishes and records what was done to a device, whose list of origins was that.
func (c *change) device(action string, was ownline.Origins, d ownline.Device, removed bool) error {
	d.Secret = nil
	if err := c.reportDevice(action, d); err != nil {
		return err
	}
	c.publish(Event{Kind: EventDevice, Owner: d.User, Removed: removed, Resource: d})
	return c.audit(action, d.ID.String(), d.Site, describeNamed(d.Name, was, d.AllowedFrom))
}

// DeviceChange changes what is not nil.
type DeviceChange struct {
	Name                 *string
	RequireClaimedSource *bool
	AllowedFrom          *[]string      // by an admin; ends the sessions of those who are elsewhere
	Secret               ownline.Secret // by ChangeRestored only; the old one counts no more
}

// ChangeDevice changes a device: its user, or an admin.
func (a *Access) ChangeDevice(ctx context.Context, actor Actor, id ownline.DeviceID, w DeviceChange) (ownline.Device, error) {
	if w.AllowedFrom != nil {
		if err := actor.MustAdmin(); err != nil {
			return ownline.Device{}, ownline.Forbidden("allowed_from", "only an admin may say from where a device opens sessions")
		}
	}
	return a.changeDevice(ctx, actor, id, func(c *change, d *ownline.Device) error {
		was := *d
		if err := a.writeDevice(c, d, w); err != nil {
			return err
		}
		if d.Name != was.Name && !d.Revoked {
			if err := nameIsFree(c.Tx, *d); err != nil {
				return err
			}
		}
		return c.device("device.change", was.AllowedFrom, *d, false)
	})
}

func (a *Access) writeDevice(c *change, d *ownline.Device, w DeviceChange) (err error) {
	set(&d.Name, w.Name)
	set(&d.RequireClaimedSource, w.RequireClaimedSource)
	if err := checkLabel("name", d.Name, 1); err != nil {
		return err
	}
	if w.AllowedFrom != nil {
		if d.AllowedFrom, err = a.allowedFrom(c.Tx, d.Site, *w.AllowedFrom); err != nil {
			return err
		}
		if err := a.endOutside(c, ownline.SessionQuery{Device: d.ID}, d.AllowedFrom); err != nil {
			return err
		}
	}
	return c.SaveDevice(*d)
}

// RevokeDevice makes a device's knocks count no more and ends its sessions. It can't be
// undone.
func (a *Access) RevokeDevice(ctx context.Context, actor Actor, id ownline.DeviceID) (ownline.Device, error) {
	return a.changeDevice(ctx, actor, id, func(c *change, d *ownline.Device) error {
		if d.Revoked {
			return nil
		}
		d.Revoked = true
		if _, err := c.endAll(ownline.SessionQuery{Device: id}, ownline.Revoked, nil); err != nil {
			return err
		}
		if err := c.RevokeDevice(id); err != nil {
			return err
		}
		return c.device("device.revoke", d.AllowedFrom, *d, false)
	})
}

// changeDevice runs f on a device of the actor's and has its core told.
func (a *Access) changeDevice(ctx context.Context, actor Actor, id ownline.DeviceID, f func(*change, *ownline.Device) error) (d ownline.Device, err error) {
	if err := actor.May(ownline.ScopeDevices, ownline.ScopeAdmin); err != nil {
		return ownline.Device{}, err
	}
	err = a.changeAndEnforce(ctx, actor, func(c *change) (err error) {
		if d, err = deviceFor(c.Tx, actor.owns, id); err != nil {
			return err
		}
		if err := c.whole(d.Site); err != nil {
			return err
		}
		return f(c, &d)
	})
	if err != nil {
		return ownline.Device{}, err
	}
	return d, nil
}

// RotateDevice gives a device a new secret; the old one counts no more. Its sessions stay.
func (a *Access) RotateDevice(ctx context.Context, actor Actor, id ownline.DeviceID) (ownline.Device, Enrolment, error) {
	var profile Enrolment
	d, err := a.changeDevice(ctx, actor, id, func(c *change, d *ownline.Device) error {
		if d.Revoked {
			return ownline.Conflict("device", "is revoked; add a new one")
		}
		site, err := c.Site(d.Site)
		if err != nil {
			return err
		}
		fresh := *d
		fresh.Secret = newSecret()
		if profile, err = a.enrol(c.Tx, fresh, site); err != nil {
			return err
		}
		if err := c.SetDeviceSecret(id, fresh.Secret); err != nil {
			return err
		}
		return c.device("device.rotate", d.AllowedFrom, *d, false)
	})
	if err != nil {
		return ownline.Device{}, Enrolment{}, err
	}
	return d, profile, nil
}

// RemoveDevice revokes a device and takes it off the lists; history keeps it.
func (a *Access) RemoveDevice(ctx context.Context, actor Actor, id ownline.DeviceID) error {
	_, err := a.changeDevice(ctx, actor, id, func(c *change, d *ownline.Device) error {
		if _, err := c.endAll(ownline.SessionQuery{Device: id}, ownline.Revoked, nil); err != nil {
			return err
		}
		if err := c.RemoveDevice(id, c.now); err != nil {
			return err
		}
		return c.device("device.remove", d.AllowedFrom, *d, true)
	})
	return err
}
