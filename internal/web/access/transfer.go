package access

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// Everything is all that one database holds and another could take over. What is secret is
// there only when it was asked for.
type Everything struct {
	LinkKey   ownline.Secret // web's own key towards cores, as PEM
	Sites     []ownline.Site
	Users     []ownline.User
	Passwords map[ownline.UserID]string // hashes
	Services  []ownline.Service
	Grants    []ownline.Grant
	Devices   []ownline.Device      // with their secrets
	History   []ownline.SessionInfo // what is over, the oldest first

	Icons       map[ownline.ServiceID][]byte // pictures that were uploaded
	Links       []ownline.KeptLink
	TOTPs       []ownline.KeptTOTP
	Passkeys    []ownline.Passkey
	Tokens      []ownline.KeptToken
	Invitations []ownline.KeptInvitation
}

// transferRows are what only a transfer reads and writes.
type transferRows interface {
	LinkKey() (ownline.Secret, error)
	SetLinkKey(ownline.Secret) error
	PasswordHashes() (map[ownline.UserID]string, error)
	DeviceSecrets() (map[ownline.DeviceID]ownline.Secret, error)
	// AddHistory adds a session that is over. What it concerned and is not there gets a row
	// as things have that were removed. It reports whether the session is new.
	AddHistory(ownline.SessionInfo) (bool, error)

	// What lets people in: all of it that is of use, and a way to add one.
	KeptLinks() ([]ownline.KeptLink, error) // added by Link
	KeptTOTPs() ([]ownline.KeptTOTP, error)
	KeepTOTP(ownline.KeptTOTP) error
	KeptPasskeys() ([]ownline.Passkey, error)
	KeepPasskey(ownline.Passkey) error
	KeptTokens() ([]ownline.KeptToken, error)
	KeepToken(ownline.KeptToken) error
	KeptInvitations() ([]ownline.KeptInvitation, error)
	KeepInvitation(ownline.KeptInvitation) error

	// They take back that something was removed, and report whether it was.
	ReviveUser(ownline.User) (bool, error)
	ReviveSite(ownline.Site) (bool, error)
	ReviveService(ownline.Service) (bool, error)
	ReviveDevice(ownline.Device) (bool, error)
}

// addOrRevive adds a thing, or takes back that it was removed.
func addOrRevive[T any](v T, add func(T) error, revive func(T) (bool, error)) error {
	if was, err := revive(v); err != nil || was {
		return err
	}
	return add(v)
}

// mustCommand refuses everybody but whoever can open the database anyway.
func (a Actor) mustCommand() error {
	if a.By != ByCommand {
		return ownline.Forbidden("", "only a command on web's own machine may do that")
	}
	return nil
}

// Export reads everything as it is at one moment (command); history only when it is asked
// for.
func (a *Access) Export(ctx context.Context, actor Actor, secrets, history bool) (e Everything, err error) {
	if err := actor.mustCommand(); err != nil {
		return e, err
	}
	err = a.store.Read(ctx, func(tx Tx) error {
		if e.Sites, err = tx.Sites(); err != nil {
			return err
		}
		if e.Users, err = pages(func(p ownline.Page) ([]ownline.User, string, error) { return tx.Users(ownline.UserQuery{Page: p}) }); err != nil {
			return err
		}
		if e.Services, err = pages(func(p ownline.Page) ([]ownline.Service, string, error) {
			return tx.Services(p, ownline.SiteID{}, ownline.UserID{})
		}); err != nil {
			return err
		}
		if e.Grants, err = pages(func(p ownline.Page) ([]ownline.Grant, string, error) {
			return tx.Grants(ownline.GrantQuery{Page: p})
		}); err != nil {
			return err
		}
		if e.Devices, err = pages(func(p ownline.Page) ([]ownline.Device, string, error) {
			return tx.Devices(p, ownline.UserID{}, ownline.SiteID{})
		}); err != nil {
			return err
		}
		if err := e.icons(tx); err != nil {
			return err
		}
		if secrets {
			if err := errors.Join(e.secrets(tx), e.keys(tx)); err != nil {
				return err
			}
		}
		if history {
			e.History, err = pages(func(p ownline.Page) ([]ownline.SessionInfo, string, error) {
				return tx.Sessions(ownline.SessionQuery{Page: p, Ended: true})
			})
		}
		return err
	})
	return e, err
}

func (e *Everything) secrets(tx Tx) (err error) {
	if e.LinkKey, err = tx.LinkKey(); err != nil {
		return err
	}
	if e.Passwords, err = tx.PasswordHashes(); err != nil {
		return err
	}
	secrets, err := tx.DeviceSecrets()
	for i, d := range e.Devices {
		e.Devices[i].Secret = secrets[d.ID]
	}
	return err
}

// pages reads every page of a list.
func pages[T any](read func(ownline.Page) ([]T, string, error)) (out []T, err error) {
	p := ownline.Page{Limit: ownline.MaxLimit}
	for {
		items, next, err := read(p)
		if out = append(out, items...); err != nil || next == "" {
			return out, err
		}
		p.Cursor = next
	}
}

// RestoreLinkKey makes web the one that the cores of another database obey (command). It
// must not have sites yet.
func (a *Access) RestoreLinkKey(ctx context.Context, actor Actor, pem ownline.Secret) error {
	if err := actor.mustCommand(); err != nil {
		return err
	}
	if _, err := link.ParseIdentity(pem); err != nil {
		return ownline.Invalid("link_key", "is not a link key as an export writes it")
	}
	_, err := a.change(ctx, actor, func(c *change) error {
		sites, err := c.Sites()
		if err != nil {
			return err
		}
		if len(sites) > 0 {
			return ownline.Conflict("link_key", "the sites here obey another key; leave link_key out")
		}
		if err := c.SetLinkKey(pem); err != nil {
			return err
		}
		return c.audit("link_key.restore", "", ownline.SiteID{}, "")
	})
	return err
}

// RestoreSite adds a site whose core was paired with another database of the same link key
// (command).
func (a *Access) RestoreSite(ctx context.Context, actor Actor, s ownline.Site) error {
	s.IPv6Prefix, s.Revision, s.Created = cmp.Or(s.IPv6Prefix, a.ipv6Prefix), 1, cmp.Or(s.Created, now())
	if err := cmp.Or(actor.mustCommand(), checkName(s.Name), checkHost(s.Host), checkPrefix(s.IPv6Prefix), checkLink(s.Link)); err != nil {
		return err
	}
	if b, err := base64.RawURLEncoding.Strict().DecodeString(s.Pin); err != nil || len(b) != 32 {
		return ownline.Invalid("pin", "is not the pin of a core's key; a new site is made by pairing: `ownline-web site add CODE`")
	}
	for _, n := range s.LocalNetworks {
		if n != n.Masked() {
			return ownline.Invalid("local_networks", fmt.Sprintf("%s has bits set behind the network", n))
		}
	}
	var err error
	if s.AllowedFrom, err = a.parseAllowed(s.AllowedFrom.Words(), s.IPv6Prefix); err != nil {
		return err
	}
	return a.changeAndEnforce(ctx, actor, func(c *change) error {
		if err := addOrRevive(s, c.AddSite, c.ReviveSite); err != nil {
			return err
		}
		if err := cmp.Or(c.whole(s.ID), a.keepOwn(c, s)); err != nil {
			return err
		}
		c.publish(Event{Kind: EventSite, Resource: ownline.SiteInfo{Site: s}})
		return c.audit("site.restore", s.ID.String(), s.ID, describeNamed(s.Name, "", s.AllowedFrom))
	})
}

func checkLink(s string) error {
	if s == "" {
		return nil // core dials
	}
	_, port, err := net.SplitHostPort(s)
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || n == 0 {
		return ownline.Invalid("link", "must be the host and port where core listens, like 192.168.1.1:57329, or empty when core dials")
	}
	return nil
}

// RestoreUser adds a user with the hash of their password (command). With an empty hash they
// can't sign in before they are given a password.
func (a *Access) RestoreUser(ctx context.Context, actor Actor, u ownline.User, hash string) error {
	u.Created = cmp.Or(u.Created, now())
	if err := cmp.Or(actor.mustCommand(), checkName(u.Name), checkRole(u.Role)); err != nil {
		return err
	}
	_, err := a.change(ctx, actor, func(c *change) error {
		add := func(u ownline.User) error { return c.AddUser(u, "") }
		if err := addOrRevive(u, add, c.ReviveUser); err != nil {
			return err
		}
		if err := c.SetPassword(u.ID, hash); err != nil {
			return err
		}
		c.publish(Event{Kind: EventUser, Owner: u.ID, Resource: u})
		return c.audit("user.restore", u.ID.String(), ownline.SiteID{}, u.Name+" as "+string(u.Role))
	})
	return err
}

// RestorePassword replaces the hash of a user's password (command), and whether they must
// choose another one, and signs them out.
func (a *Access) RestorePassword(ctx context.Context, actor Actor, id ownline.UserID, hash string, mustChange bool) error {
	if err := actor.mustCommand(); err != nil {
		return err
	}
	_, err := a.change(ctx, actor, func(c *change) error {
		u, err := c.User(id)
		if err != nil {
			return err
		}
		u.MustChange = mustChange
		if err := cmp.Or(c.SetPassword(id, hash), c.SaveUser(u), c.SignOut(id)); err != nil {
			return err
		}
		return c.audit("user.change", id.String(), ownline.SiteID{}, describeUser(u, u, true))
	})
	return err
}

// RestoreDevice adds a device with its secret (command); without one it gets one that
// nobody knows, so that it can knock only after RotateDevice.
func (a *Access) RestoreDevice(ctx context.Context, actor Actor, d ownline.Device) error {
	d.Created = cmp.Or(d.Created, now())
	if err := cmp.Or(actor.mustCommand(), checkLabel("name", d.Name, 1), checkFwknop(d.Fwknop)); err != nil {
		return err
	}
	if len(d.Secret) == 0 {
		d.Secret = newSecret()
	}
	return a.changeAndEnforce(ctx, actor, func(c *change) (err error) {
		if d.AllowedFrom, err = a.allowedFrom(c.Tx, d.Site, d.AllowedFrom.Words()); err != nil {
			return err
		}
		if err := addOrRevive(d, c.AddDevice, c.ReviveDevice); err != nil {
			return err
		}
		if err := c.whole(d.Site); err != nil {
			return err
		}
		return c.device("device.restore", "", d, false)
	})
}

// ChangeRestored changes a device to what a file says of it (command).
func (a *Access) ChangeRestored(ctx context.Context, actor Actor, id ownline.DeviceID, w DeviceChange) error {
	if err := actor.mustCommand(); err != nil {
		return err
	}
	_, err := a.changeDevice(ctx, actor, id, func(c *change, d *ownline.Device) error {
		was := d.AllowedFrom
		if err := a.writeDevice(c, d, w); err != nil {
			return err
		}
		if w.Secret != nil {
			if err := c.SetDeviceSecret(id, w.Secret); err != nil {
				return err
			}
		}
		return c.device("device.change", was, *d, false)
	})
	return err
}

// RestoreHistory adds sessions that are over (command), and returns how many were new.
func (a *Access) RestoreHistory(ctx context.Context, actor Actor, ss []ownline.SessionInfo) (n int, err error) {
	if err := actor.mustCommand(); err != nil {
		return 0, err
	}
	_, err = a.change(ctx, actor, func(c *change) error {
		n = 0
		for _, s := range ss {
			s.State = ownline.Ended
			added, err := c.AddHistory(s)
			if err != nil {
				return err
			}
			if added {
				n++
			}
		}
		if n == 0 {
			return nil
		}
		return c.audit("history.restore", "", ownline.SiteID{}, fmt.Sprintf("%d sessions", n))
	})
	return n, err
}

// Imported records that a file was imported (command).
func (a *Access) Imported(ctx context.Context, actor Actor, what string) error {
	if err := actor.mustCommand(); err != nil {
		return err
	}
	_, err := a.change(ctx, actor, func(c *change) error { return c.audit("import", "", ownline.SiteID{}, what) })
	return err
}
