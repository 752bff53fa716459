package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/icon"
)

// uploaded begins the icon of a service that has a picture of its own; the picture's hash
// follows, so that whoever keeps it sees that it has changed.
const uploaded = "uploaded:"

// checkIcon takes one of the built-in icons, or what the service has already: labels of
// before there was a set stay.
func checkIcon(is, was string) error {
	if is == was || is == "" {
		return nil
	}
	if strings.HasPrefix(is, uploaded) {
		return ownline.Invalid("icon", "is a picture that is not this service's: upload it")
	}
	if !icon.IsBuiltin(is) {
		return ownline.Invalid("icon", "is none of the built-in icons, like "+strings.Join(icon.Builtin()[:3], ", ")+"; GET /api/v1/icons lists them")
	}
	return nil
}

// Picture is what was uploaded for a service.
type Picture struct {
	Icon    string // the service's, which changes with the picture
	Kind    string // a media type
	Content []byte
}

// Icon returns the picture of a service that the actor may know of.
func (a *Access) Icon(ctx context.Context, actor Actor, id ownline.ServiceID) (p Picture, err error) {
	if err := actor.May(ownline.ScopeRead, ownline.ScopeSessions, ownline.ScopeAdmin); err != nil {
		return p, err
	}
	err = a.store.Read(ctx, func(tx Tx) error {
		s, err := serviceFor(tx, actor, id)
		if err != nil {
			return err
		}
		p, err = pictureOf(tx, s)
		return err
	})
	return p, err
}

// GuestIcon returns the picture of the service that a link opens, as long as it opens it, or has it open
// for the guest.
func (a *Access) GuestIcon(ctx context.Context, g Guest) (p Picture, err error) {
	w, err := a.Welcome(ctx, g)
	if err == nil && w.Session.ID.IsZero() {
		err = isOver(w.State)
	}
	if err != nil {
		return p, err
	}
	err = a.store.Read(ctx, func(tx Tx) error {
		s, err := tx.Service(w.Service)
		if err != nil {
			return err
		}
		p, err = pictureOf(tx, s)
		return err
	})
	return p, err
}

func pictureOf(tx Tx, s ownline.Service) (p Picture, err error) {
	if !strings.HasPrefix(s.Icon, uploaded) {
		return p, ownline.NotFound("icon", s.Name)
	}
	p.Icon = s.Icon
	p.Content, p.Kind, err = tx.Icon(s.ID)
	return p, err
}

// SetIcon gives a service a picture of its own (admin), made harmless first.
func (a *Access) SetIcon(ctx context.Context, actor Actor, id ownline.ServiceID, picture []byte) (s ownline.Service, err error) {
	if err := actor.MustAdmin(); err != nil {
		return ownline.Service{}, err
	}
	clean, kind, err := icon.Clean(picture)
	if err != nil {
		return ownline.Service{}, err
	}
	sum := sha256.Sum256(clean)
	_, err = a.change(ctx, actor, func(c *change) (err error) {
		if s, err = c.Service(id); err != nil {
			return err
		}
		s.Icon = uploaded + hex.EncodeToString(sum[:16])
		if err := c.SaveIcon(id, clean, kind); err != nil {
			return err
		}
		if err := c.SaveService(s); err != nil {
			return err
		}
		c.publish(Event{Kind: EventService, Resource: s})
		return c.audit("service.icon", id.String(), s.Site, s.Name)
	})
	if err != nil {
		return ownline.Service{}, err
	}
	return s, nil
}

// IsBuiltinIcon reports whether a service's icon is one that our pages can draw by themselves.
func IsBuiltinIcon(name string) bool { return icon.IsBuiltin(name) }

// BuiltinIcons lists the names that a service's icon may have, in the order of the alphabet.
func BuiltinIcons() []string { return icon.Builtin() }
