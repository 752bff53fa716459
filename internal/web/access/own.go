package access

import (
	"context"
	"net/netip"
	"reflect"
	"slices"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// KeepOwn makes the service that is web itself as it should be, at every site. Cores learn
// of it as of every change by another process: it is for the start of a server.
func (a *Access) KeepOwn(ctx context.Context) error {
	_, err := a.change(ctx, System(), func(c *change) error {
		sites, err := c.Sites()
		if err != nil {
			return err
		}
		for _, s := range sites {
			if err := a.keepOwn(c, s); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// keepOwn does so at one site: where the proxy serves and web can be reached, everybody may
// use it. When web is published no more, it becomes a service like others.
func (a *Access) keepOwn(c *change, site ownline.Site) error {
	named, err := c.ServicesNamed(ownline.OwnService)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(named, func(s ownline.Service) bool { return s.Site == site.ID })
	switch {
	case !a.publish.IsValid() && i >= 0 && named[i].Everybody:
		return c.withhold(named[i])
	case !a.publish.IsValid() || !site.Proxy.Serves():
		return nil
	}
	was := ownline.Service{
		ID: ownline.NewID[ownline.Service](), Site: site.ID, Name: ownline.OwnService, Kind: ownline.Proxy, Transport: ownline.TCP, Created: c.now,
	}
	if i >= 0 {
		was = named[i]
	}
	log := a.log.With(logging.Site, site.ID)
	if was.Kind != ownline.Proxy {
		log.Warn("Ownline's own pages are not published: a port forward has their name; give it another one", "name", was.Name)
		return nil
	}
	s := was
	s.Target4, s.Target6, s.Proxy, s.Everybody = netip.AddrPort{}, netip.AddrPort{}, ownline.ProxyOptions{}, true
	if a.publish.Addr().Is4() {
		s.Target4 = a.publish
	} else {
		s.Target6 = a.publish
	}
	if err := checkService(s, was, site); err != nil {
		log.Warn("Ownline's own pages are not published: the router can't reach publish in web.yaml", "publish", a.publish.String(), logging.Err, err)
		return nil
	}
	switch {
	case i < 0:
		return c.addService(&s, site)
	case reflect.DeepEqual(s, was):
		return nil
	}
	return c.saveOwn(s, describeService(was)+" -> "+describeService(s))
}

// withhold makes web's own service one that needs a grant, and ends its sessions.
func (c *change) withhold(s ownline.Service) error {
	s.Everybody = false
	if _, err := c.endAll(ownline.SessionQuery{Service: s.ID}, ownline.Revoked, nil); err != nil {
		return err
	}
	return c.saveOwn(s, s.Name+": not for everybody any more")
}

func (c *change) saveOwn(s ownline.Service, what string) error {
	if err := c.SaveService(s); err != nil {
		return err
	}
	if err := c.served(s); err != nil {
		return err
	}
	c.publish(Event{Kind: EventService, Resource: s})
	return c.audit("service.change", s.ID.String(), s.Site, what)
}
