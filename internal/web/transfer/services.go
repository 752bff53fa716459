package transfer

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/netip"
	"strings"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
)

// siteOf finds a site by name; without one the only one is meant.
func (p *planner) siteOf(path, name string) (ownline.SiteID, bool) {
	if name == "" && len(p.sites) == 1 {
		for _, id := range p.sites {
			return id, true
		}
	}
	if name == "" {
		p.fail(path+".site", "is missing; "+known(p.sites))
		return ownline.SiteID{}, false
	}
	id, ok := p.sites[name]
	if !ok {
		p.fail(path+".site", fmt.Sprintf("there is no site %q; %s", name, known(p.sites)))
	}
	return id, ok
}

func (p *planner) siteName(id ownline.SiteID) string {
	for name, s := range p.sites {
		if s == id {
			return name
		}
	}
	return ""
}

func (p *planner) planServices() {
	key := func(site ownline.SiteID, name string) string { return site.String() + "/" + name }
	m := newMatcher(p, p.have.Services, func(s ownline.Service) ownline.ServiceID { return s.ID }, func(s ownline.Service) string { return key(s.Site, s.Name) })
	for i, w := range p.file.Services {
		path := fmt.Sprintf("services[%d]", i)
		site, sok := p.siteOf(path, w.Site)
		if p.missing(path, "name", w.Name) || !sok {
			continue
		}
		s := ownline.Service{
			ID: w.ID, Site: site, Name: w.Name, Kind: ownline.ServiceKind(cmp.Or(w.Kind, string(ownline.Forward))),
			Transport: ownline.Transport(cmp.Or(w.Transport, string(ownline.TCP))), Target4: w.Target, Target6: w.Target6, Proxy: w.Options.proxy(), Icon: w.Icon, Created: w.Created,
		}
		picture, err := base64.StdEncoding.DecodeString(w.Picture)
		switch {
		case err != nil:
			p.fail(path+".picture", "is not base64")
			continue
		case w.Picture != "" && w.Icon != "":
			p.fail(path+".picture", "stands in place of icon; leave one out")
			continue
		}
		is, ok := m.find(path, w.ID, key(site, w.Name))
		switch {
		case !ok:
		case is == nil:
			p.addService(path, s, picture)
		default:
			p.changeService(path, s, *is, picture)
		}
	}
	for _, s := range m.rest(p.have.Services) {
		name := p.siteName(s.Site)
		if name == "" {
			continue // it goes with its site
		}
		name += "/" + s.Name
		if !p.prune || p.file.Services == nil || s.Everybody {
			p.services[name] = s.ID
			continue
		}
		id := s.ID
		p.removed("service", name, func(ctx context.Context, a *access.Access, actor access.Actor) error {
			return a.RemoveService(ctx, actor, id)
		})
	}
}

func (p *planner) addService(path string, s ownline.Service, picture []byte) {
	s.ID = cmp.Or(s.ID, ownline.NewID[ownline.Service]())
	name := p.siteName(s.Site) + "/" + s.Name
	p.services[name] = s.ID
	var f fields
	f.add("kind", "", s.Kind)
	f.add("transport", "", s.Transport)
	f.add("target", netip.AddrPort{}, s.Target4)
	f.add("target6", netip.AddrPort{}, s.Target6)
	f = append(f, optionFields(ownline.ProxyOptions{}, s.Proxy)...)
	f.add("icon", "", s.Icon)
	if len(picture) > 0 {
		f.add("picture", "", size(picture))
	}
	p.added("service", name, path, f, func(ctx context.Context, a *access.Access, actor access.Actor) error {
		_, err := a.AddService(ctx, actor, access.NewService{
			ID: s.ID, Created: s.Created, Site: s.Site, Name: s.Name, Kind: s.Kind, Transport: s.Transport,
			Target4: s.Target4, Target6: s.Target6, Proxy: s.Proxy, Icon: s.Icon,
		})
		if err == nil && len(picture) > 0 {
			_, err = a.SetIcon(ctx, actor, s.ID, picture)
		}
		return err
	})
}

func optionFields(is, s ownline.ProxyOptions) (f fields) {
	f.add("options.scheme", is.Scheme, s.Scheme)
	f.add("options.path_prefix", is.PathPrefix, s.PathPrefix)
	if !maps.Equal(is.Headers, s.Headers) {
		f.secret("options.headers") // some are passwords
	}
	f.add("options.ca", is.CA, s.CA)
	f.add("options.pin", is.Pin, s.Pin)
	f.add("options.server_name", is.ServerName, s.ServerName)
	f.add("options.require_login", is.RequireLogin, s.RequireLogin)
	f.add("options.template", is.Template, s.Template)
	return f
}

// size says of a picture what people can make something of.
func size(picture []byte) string { return fmt.Sprintf("%d bytes", len(picture)) }

func (p *planner) changeService(path string, s, is ownline.Service, picture []byte) {
	name := p.siteName(s.Site) + "/" + s.Name
	p.services[name] = is.ID
	if s.Site != is.Site {
		p.fail(path+".site", "a service can't move to another site; leave id out to make another one")
		return
	}
	if s.Kind != is.Kind {
		p.fail(path+".kind", fmt.Sprintf("is %q here and can't be changed; remove the service first", is.Kind))
		return
	}
	var f fields
	f.add("name", is.Name, s.Name)
	f.add("transport", is.Transport, s.Transport)
	f.add("target", is.Target4, s.Target4)
	f.add("target6", is.Target6, s.Target6)
	f = append(f, optionFields(is.Proxy, s.Proxy)...)
	has := p.have.Icons[is.ID]
	draw := len(picture) > 0 && !bytes.Equal(picture, has)
	switch {
	case draw:
		f = append(f, Field{"picture", size(has), size(picture)})
		s.Icon = is.Icon // until it is drawn
	case len(picture) > 0:
		s.Icon = is.Icon
	default:
		f.add("icon", is.Icon, s.Icon)
	}
	p.changed("service", name, path, f, func(ctx context.Context, a *access.Access, actor access.Actor) error {
		_, err := a.ChangeService(ctx, actor, is.ID, access.ServiceChange{
			Name: &s.Name, Transport: &s.Transport, Target4: &s.Target4, Target6: &s.Target6, Proxy: &s.Proxy, Icon: &s.Icon,
		})
		if err == nil && draw {
			_, err = a.SetIcon(ctx, actor, is.ID, picture)
		}
		return err
	})
}

// serviceOf finds a service by SITE/NAME, or by a name that only one has.
func (p *planner) serviceOf(path, name string) (ownline.ServiceID, string, bool) {
	if p.missing(path, "service", name) {
		return ownline.ServiceID{}, "", false
	}
	if id, ok := p.services[name]; ok {
		return id, name, true
	}
	var found []string
	for full := range p.services {
		if _, short, _ := strings.Cut(full, "/"); short == name {
			found = append(found, full)
		}
	}
	switch len(found) {
	case 1:
		return p.services[found[0]], found[0], true
	case 0:
		p.fail(path+".service", fmt.Sprintf("there is no service %q; %s", name, known(p.services)))
	default:
		p.fail(path+".service", fmt.Sprintf("%q is at several sites; say SITE/%s", name, name))
	}
	return ownline.ServiceID{}, "", false
}

func (p *planner) planGrants() {
	n := namesOf(p.have)
	key := func(u ownline.UserID, s ownline.ServiceID) string { return u.String() + " " + s.String() }
	m := newMatcher(p, p.have.Grants, func(g ownline.Grant) ownline.GrantID { return g.ID }, func(g ownline.Grant) string { return key(g.User, g.Service) })
	for i, w := range p.file.Grants {
		path := fmt.Sprintf("grants[%d]", i)
		user, uok := p.userOf(path, w.User)
		service, full, sok := p.serviceOf(path, w.Service)
		if !uok || !sok {
			continue
		}
		g := ownline.Grant{
			ID: w.ID, User: user, Service: service, Automatic: w.Automatic, PublicPort: w.PublicPort,
			AllowReserved: w.AllowReserved, MaxDuration: w.MaxDuration, MaxSources: w.MaxSources, RequireClaimedSource: w.RequireClaimedSource, AllowedFrom: p.origins(path, w.AllowedFrom), Created: w.Created,
		}
		name := w.User + " " + full
		is, ok := m.find(path, w.ID, key(user, service))
		switch {
		case !ok:
		case is == nil:
			p.addGrant(path, name, g)
		case is.User != user || is.Service != service:
			p.fail(path+".id", "is that of a grant of another user or service; leave it out")
		default:
			p.changeGrant(path, name, g, *is)
		}
	}
	for _, g := range m.rest(p.have.Grants) {
		if id := g.ID; p.prune && p.file.Grants != nil {
			p.removed("grant", n.user[g.User]+" "+n.service[g.Service], func(ctx context.Context, a *access.Access, actor access.Actor) error {
				return a.RemoveGrant(ctx, actor, id)
			})
		}
	}
}

func grantFields(is, g ownline.Grant) (f fields) {
	f.add("automatic", is.Automatic, g.Automatic)
	f.add("public_port", is.PublicPort, g.PublicPort)
	f.add("allow_reserved", is.AllowReserved, g.AllowReserved)
	f.add("max_duration", is.MaxDuration, g.MaxDuration)
	f.add("max_sources", is.MaxSources, g.MaxSources)
	f.add("require_claimed_source", is.RequireClaimedSource, g.RequireClaimedSource)
	f.add("allowed_from", string(is.AllowedFrom), string(g.AllowedFrom))
	return f
}

func (p *planner) addGrant(path, name string, g ownline.Grant) {
	p.added("grant", name, path, grantFields(ownline.Grant{}, g), func(ctx context.Context, a *access.Access, actor access.Actor) error {
		_, err := a.AddGrant(ctx, actor, access.NewGrant{
			ID: g.ID, Created: g.Created, User: g.User, Service: g.Service, Automatic: g.Automatic, PublicPort: g.PublicPort,
			AllowReserved: g.AllowReserved, MaxDuration: g.MaxDuration, MaxSources: g.MaxSources, RequireClaimedSource: g.RequireClaimedSource, AllowedFrom: g.AllowedFrom.Words(),
		})
		return err
	})
}

func (p *planner) changeGrant(path, name string, g, is ownline.Grant) {
	p.changed("grant", name, path, grantFields(is, g), func(ctx context.Context, a *access.Access, actor access.Actor) error {
		from := g.AllowedFrom.Words()
		_, err := a.ChangeGrant(ctx, actor, is.ID, access.GrantChange{
			Automatic: &g.Automatic, PublicPort: &g.PublicPort, AllowReserved: &g.AllowReserved, MaxDuration: &g.MaxDuration, MaxSources: &g.MaxSources, RequireClaimedSource: &g.RequireClaimedSource, AllowedFrom: &from,
		})
		return err
	})
}
