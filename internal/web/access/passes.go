package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// passLife is how long a browser stays logged in at a service. Then it comes here again,
// which nobody sees who is signed in.
const passLife = 7 * 24 * time.Hour

// PassAsk is what a browser was told when a service that requires a login sent it here.
type PassAsk struct {
	Login   ownline.LoginID // the browser's
	Service ownline.ServiceID
	State   string // base64url of the hash of what binds the code to that browser
	To      string // path at the service
}

// Pass lets a browser in at a service, and returns where it is to go: to the service's own
// host, with a code that counts once, for a minute. Who may are those with a grant or a live
// session of their own for the service; admins, too, need one.
func (a *Access) Pass(ctx context.Context, actor Actor, ask PassAsk) (location string, err error) {
	if err := actor.May(ownline.ScopeSessions); err != nil {
		return "", err
	}
	if actor.By != ByLogin || ask.Login.IsZero() {
		return "", ownline.Forbidden("", "only a browser that is signed in can log in at a service")
	}
	state, err := base64.RawURLEncoding.DecodeString(ask.State)
	if err != nil || len(state) != sha256.Size {
		return "", ownline.Invalid("state", "is not what the service's router has sent: open the service's page again")
	}
	if !strings.HasPrefix(ask.To, "/") || len(ask.To) > link.MaxTo {
		return "", ownline.Invalid("to", "must be a path of the service")
	}
	var (
		s   ownline.Service
		p   ownline.Pass
		rev uint64
	)
	_, err = a.change(ctx, actor, func(c *change) error {
		may, err := c.MayPass(actor.User.ID, ask.Service)
		if err != nil {
			return err
		}
		if !may { // one that there is not sounds the same
			return ownline.Forbidden("service", "may not be used by you: you have no grant for it, and no open session")
		}
		if s, err = c.Service(ask.Service); err != nil {
			return err
		}
		if !s.Proxy.RequireLogin || s.URL() == "" {
			return ownline.Conflict("service", "needs no login")
		}
		p, err = c.PutPass(ownline.Pass{Login: ask.Login, User: actor.User.ID, Service: s.ID, Expires: c.now.Add(passLife)}, c.now)
		if errors.Is(err, ownline.ErrNotFound) {
			return ownline.ErrUnauthorized // signed out this very moment
		}
		if err != nil {
			return err
		}
		site, err := c.bump(s.Site)
		if err != nil {
			return err
		}
		rev = site.revision
		return c.audit("service.login", s.ID.String(), s.Site, s.Name)
	})
	if err != nil {
		return "", err
	}
	code := rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(code))
	ctx, cancel := forCore(ctx)
	defer cancel()
	err = a.enforcer.Pass(ctx, s.Site, rev, link.Pass{Login: p.Login, Service: p.Service, User: actor.User.Name, Expires: p.Expires}, sum[:], state)
	if err != nil {
		a.log.WarnContext(ctx, "core was not told of a login at a service", logging.Site, s.Site, logging.Service, s.Name, logging.Err, err)
		return "", err
	}
	return strings.TrimSuffix(s.URL(), "/") + link.LoginPath + "?" + url.Values{"code": {code}, "to": {ask.To}}.Encode(), nil
}

// outside ends a user's logins at a service that they may not use any more.
func (c *change) outside(u ownline.UserID, s ownline.ServiceID, site ownline.SiteID) error {
	lost, err := c.LosePasses(u, s)
	if err != nil || !lost {
		return err
	}
	return c.whole(site)
}

// pagesAt is where people of a site log in; "": nowhere. Where public_url is set, nobody can
// sign in at another address.
func (a *Access) pagesAt(s ownline.Site) string {
	switch {
	case a.publicURL != "":
		return a.publicURL
	case a.publish.IsValid():
		return strings.TrimSuffix(s.Proxy.URL(ownline.OwnService), "/")
	}
	return ""
}
