package transfer

import (
	"cmp"
	"context"
	"slices"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
)

// Export reads a database as a document: secrets and the history of sessions only where
// they are asked for.
func Export(ctx context.Context, a *access.Access, actor access.Actor, secrets, history bool) (Document, error) {
	e, err := a.Export(ctx, actor, secrets, history)
	if err != nil {
		return Document{}, err
	}
	return document(e, secrets, history), nil
}

// names are what things are called in a document.
type names struct {
	site    map[ownline.SiteID]string
	user    map[ownline.UserID]string
	service map[ownline.ServiceID]string // SITE/NAME; not web's own, which every web makes for itself
}

func namesOf(e access.Everything) names {
	n := names{map[ownline.SiteID]string{}, map[ownline.UserID]string{}, map[ownline.ServiceID]string{}}
	for _, s := range e.Sites {
		n.site[s.ID] = s.Name
	}
	for _, u := range e.Users {
		n.user[u.ID] = u.Name
	}
	for _, s := range e.Services {
		if !s.Everybody {
			n.service[s.ID] = n.site[s.Site] + "/" + s.Name
		}
	}
	return n
}

// document writes down what a database holds, in an order that depends on nothing else.
func document(e access.Everything, secrets, history bool) Document {
	n := namesOf(e)
	d := Document{
		Version: version, LinkKey: string(e.LinkKey),
		Sites: []Site{}, Users: []User{}, Services: []Service{}, Grants: []Grant{}, Devices: []Device{},
	}
	for _, s := range e.Sites {
		d.Sites = append(d.Sites, Site{
			Name: s.Name, ID: s.ID, Host: s.Host, IPv6Prefix: s.IPv6Prefix, AllowedFrom: wordsOf(s.AllowedFrom), Link: s.Link, Pin: s.Pin, KnockPort: s.KnockPort,
			LocalNetworks: s.LocalNetworks, ReservedPorts: s.ReservedPorts,
			ProxyDriver: s.Proxy.Driver, ProxyDomain: s.Proxy.Domain, ProxyPort: s.Proxy.Port, Created: s.Created,
		})
	}
	for _, u := range e.Users {
		d.Users = append(d.Users, User{
			Name: u.Name, ID: u.ID, Role: string(u.Role), Disabled: u.Disabled, PasswordHash: e.Passwords[u.ID],
			MustChange: u.MustChange, Created: u.Created,
		})
	}
	for _, s := range e.Services {
		if s.Everybody {
			continue
		}
		w := Service{
			Name: s.Name, Site: n.site[s.Site], ID: s.ID, Kind: string(s.Kind), Transport: string(s.Transport),
			Target: s.Target4, Target6: s.Target6, Options: optionsOf(s.Proxy), Icon: s.Icon, Created: s.Created,
		}
		if picture := e.Icons[s.ID]; picture != nil {
			w.Icon, w.Picture = "", text64(picture)
		}
		d.Services = append(d.Services, w)
	}
	for _, g := range e.Grants {
		if n.service[g.Service] == "" {
			continue
		}
		d.Grants = append(d.Grants, Grant{
			User: n.user[g.User], Service: n.service[g.Service], ID: g.ID, Automatic: g.Automatic, PublicPort: g.PublicPort,
			AllowReserved: g.AllowReserved, MaxDuration: g.MaxDuration, MaxSources: g.MaxSources, RequireClaimedSource: g.RequireClaimedSource, AllowedFrom: wordsOf(g.AllowedFrom), Created: g.Created,
		})
	}
	for _, v := range e.Devices {
		d.Devices = append(d.Devices, Device{
			Name: v.Name, User: n.user[v.User], Site: n.site[v.Site], ID: v.ID, RequireClaimedSource: v.RequireClaimedSource, AllowedFrom: wordsOf(v.AllowedFrom),
			Fwknop: v.Fwknop, Revoked: v.Revoked, Secret: text64(v.Secret), Created: v.Created,
		})
	}
	slices.SortFunc(d.Sites, func(a, b Site) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(d.Users, func(a, b User) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(d.Services, func(a, b Service) int { return cmp.Or(cmp.Compare(a.Site, b.Site), cmp.Compare(a.Name, b.Name)) })
	slices.SortFunc(d.Grants, func(a, b Grant) int { return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Service, b.Service)) })
	slices.SortFunc(d.Devices, func(a, b Device) int {
		return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Name, b.Name), slices.Compare(a.ID[:], b.ID[:]))
	})
	if secrets {
		d.keys(e, n)
	}
	if !history {
		return d
	}
	d.History = []Session{}
	for _, s := range e.History {
		d.History = append(d.History, sessionOf(s))
	}
	slices.SortFunc(d.History, func(a, b Session) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return d
}

func sessionOf(s ownline.SessionInfo) Session {
	return Session{
		ID: s.ID, User: s.UserName, UserID: s.User, Service: s.ServiceName, ServiceID: s.Service, Kind: string(s.ServiceKind),
		Site: s.SiteName, SiteID: s.Site, Host: s.SiteHost, Device: s.DeviceName, DeviceID: s.Device,
		Invitation: s.Invitation,
		Source:     s.Source, PublicPort: s.PublicPort, Transport: string(s.Transport), Target: s.Target,
		Reason: string(s.Reason), Detail: s.Detail, Opened: s.Opened, Expires: s.Expires, Ended: s.EndedAt,
		UpBytes: s.Traffic.UpBytes, UpPackets: s.Traffic.UpPackets, DownBytes: s.Traffic.DownBytes, DownPackets: s.Traffic.DownPackets,
	}
}

// info is the way back. Revision, reserved and successor are of no account for what is over.
func (s Session) info() ownline.SessionInfo {
	return ownline.SessionInfo{
		Session: ownline.Session{
			ID: s.ID, Site: s.SiteID, User: s.UserID, Service: s.ServiceID, Device: s.DeviceID, Invitation: s.Invitation, Source: s.Source,
			PublicPort: s.PublicPort, Transport: ownline.Transport(s.Transport), Target: s.Target, State: ownline.Ended,
			Reason: ownline.EndReason(s.Reason), Detail: s.Detail, Opened: s.Opened, Expires: s.Expires, EndedAt: s.Ended,
			Traffic: ownline.Traffic{UpBytes: s.UpBytes, UpPackets: s.UpPackets, DownBytes: s.DownBytes, DownPackets: s.DownPackets},
		},
		SiteName: s.Site, SiteHost: s.Host, UserName: s.User, ServiceName: s.Service, ServiceKind: ownline.ServiceKind(s.Kind), DeviceName: s.Device,
	}
}

// wordsOf is nil where there are none, which is the default.
func wordsOf(o ownline.Origins) []string {
	if o == "" {
		return nil
	}
	return o.Words()
}

// origins is the way back for what is at a path. How small a network may be is the site's matter, where it is applied.
func (p *planner) origins(path string, words []string) ownline.Origins {
	o, err := access.ParseOrigins("", words, 128)
	if err != nil {
		p.fail(path+".allowed_from", err.Error())
	}
	return o
}
