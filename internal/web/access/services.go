package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/serverblock"
)

// NewService is what an admin tells of a new service.
type NewService struct {
	ID        ownline.ServiceID // zero: a new one
	Created   time.Time         // zero: now
	Site      ownline.SiteID
	Name      string
	Kind      ownline.ServiceKind  // "": forward
	Transport ownline.Transport    // "": tcp
	Target4   netip.AddrPort       // in errors: "target"
	Target6   netip.AddrPort       // in errors: "target6"
	Proxy     ownline.ProxyOptions // of kind proxy; in errors: "options"
	Icon      string
}

// ServiceChange changes what is not nil. Another transport or target ends the sessions of a
// forward. Those of a proxied service go on whatever changes: they admit to the service, and
// the proxy leads where it leads from then on. Another name is another URL, in them too.
type ServiceChange struct {
	Name      *string
	Kind      *ownline.ServiceKind // only what it is: it can't be changed
	Transport *ownline.Transport
	Target4   *netip.AddrPort // the zero AddrPort: none any more
	Target6   *netip.AddrPort
	Proxy     *ownline.ProxyOptions // all of them
	Icon      *string
}

// ServiceQuery selects services; the zero Site means every site.
type ServiceQuery struct {
	ownline.Page
	Site ownline.SiteID
}

// Services lists services by name: an admin all, others those that they may use.
func (a *Access) Services(ctx context.Context, actor Actor, q ServiceQuery) (ss []ownline.Service, next string, err error) {
	if err := actor.May(ownline.ScopeRead, ownline.ScopeSessions, ownline.ScopeAdmin); err != nil {
		return nil, "", err
	}
	var grantedTo ownline.UserID // zero: no matter to whom
	if !actor.Oversees() {
		grantedTo = actor.User.ID
	}
	err = a.store.Read(ctx, func(tx Tx) (err error) {
		ss, next, err = tx.Services(q.Page, q.Site, grantedTo)
		return err
	})
	return ss, next, err
}

// Service returns one of those that Services lists.
func (a *Access) Service(ctx context.Context, actor Actor, id ownline.ServiceID) (s ownline.Service, err error) {
	if err := actor.May(ownline.ScopeRead, ownline.ScopeSessions, ownline.ScopeAdmin); err != nil {
		return s, err
	}
	err = a.store.Read(ctx, func(tx Tx) (err error) {
		s, err = serviceFor(tx, actor, id)
		return err
	})
	return s, err
}

// serviceFor returns a service that the actor may know of.
func serviceFor(tx Tx, actor Actor, id ownline.ServiceID) (ownline.Service, error) {
	s, err := tx.Service(id)
	if err != nil || actor.Oversees() || s.Everybody {
		return s, err
	}
	g, err := tx.GrantOf(actor.User.ID, id)
	if err == nil && g.ID.IsZero() {
		err = ownline.NotFound("service", id.String())
	}
	if err != nil {
		return ownline.Service{}, err
	}
	return s, nil
}

// ServicesNamed returns those that Services lists that have this name: one for each site at
// most.
func (a *Access) ServicesNamed(ctx context.Context, actor Actor, name string) (out []ownline.Service, err error) {
	if err := actor.May(ownline.ScopeRead, ownline.ScopeSessions, ownline.ScopeAdmin); err != nil {
		return nil, err
	}
	err = a.store.Read(ctx, func(tx Tx) error {
		ss, err := tx.ServicesNamed(name)
		for _, s := range ss {
			switch _, err := serviceFor(tx, actor, s.ID); {
			case err == nil:
				out = append(out, s)
			case !errors.Is(err, ownline.ErrNotFound):
				return err
			}
		}
		return err
	})
	return out, err
}

// AddService makes a service (admin). Its targets must lie in the site's local networks.
func (a *Access) AddService(ctx context.Context, actor Actor, n NewService) (ownline.Service, error) {
	s := ownline.Service{
		ID: cmp.Or(n.ID, ownline.NewID[ownline.Service]()), Site: n.Site, Name: n.Name, Kind: n.Kind, Transport: n.Transport,
		Target4: n.Target4, Target6: n.Target6, Proxy: n.Proxy, Icon: n.Icon, Created: cmp.Or(n.Created, now()),
	}
	if s.Kind == "" {
		s.Kind = ownline.Forward
	}
	if s.Transport == "" {
		s.Transport = ownline.TCP
	}
	if err := actor.MustAdmin(); err != nil {
		return ownline.Service{}, err
	}
	var was ownline.Service
	if !n.ID.IsZero() && !strings.HasPrefix(n.Icon, uploaded) && checkLabel("icon", n.Icon, 0) == nil {
		was.Icon = n.Icon // an export from before there was a set has labels
	}
	err := a.changeAndEnforce(ctx, actor, func(c *change) error {
		site, err := c.Site(s.Site)
		if err != nil {
			return err
		}
		if err := cmp.Or(checkService(s, was, site), checkNewService(s, site), a.checkLogin(s, was)); err != nil {
			return err
		}
		return c.addService(&s, site)
	})
	if err != nil {
		return ownline.Service{}, err
	}
	return s, nil
}

// addService adds a service that was checked, and fills in what its site says.
func (c *change) addService(s *ownline.Service, site ownline.Site) error {
	s.SiteProxy = site.Proxy
	if err := addOrRevive(*s, c.AddService, c.ReviveService); err != nil {
		return err
	}
	if err := c.served(*s); err != nil {
		return err
	}
	c.publish(Event{Kind: EventService, Resource: *s})
	said := describeService(*s)
	if options := describeOptions(ownline.ProxyOptions{}, s.Proxy); options != "" {
		said += "; " + options
	}
	return c.audit("service.add", s.ID.String(), s.Site, said)
}

// served has core told of what its proxy is to serve.
func (c *change) served(s ownline.Service) error {
	if s.Kind != ownline.Proxy {
		return nil
	}
	return c.whole(s.Site)
}

func describeService(s ownline.Service) string {
	how := string(s.Transport)
	if s.Kind == ownline.Proxy {
		how = "proxied " + cmp.Or(s.Proxy.Scheme, ownline.SchemeHTTP)
	}
	return strings.Join(strings.Fields(fmt.Sprintf("%s: %s %s %s", s.Name, how, targetText(s.Target4), targetText(s.Target6))), " ")
}

// describeServiceChange tells what was changed, and with what: nothing may be weakened unseen.
func describeServiceChange(was, is ownline.Service) string {
	said := describeService(was) + " -> " + describeService(is)
	if options := describeOptions(was.Proxy, is.Proxy); options != "" {
		said += "; " + options
	}
	if was.Icon != is.Icon {
		said += "; icon changed"
	}
	return said
}

func targetText(t netip.AddrPort) string {
	if !t.IsValid() {
		return ""
	}
	return t.String()
}

// checkService refuses what no core should ever open.
func checkService(s, was ownline.Service, site ownline.Site) error {
	switch {
	case s.Kind != ownline.Forward && s.Kind != ownline.Proxy:
		return ownline.Invalid("kind", fmt.Sprintf("must be %q or %q", ownline.Forward, ownline.Proxy))
	case s.Transport != ownline.TCP && s.Transport != ownline.UDP:
		return ownline.Invalid("transport", fmt.Sprintf("must be %q or %q", ownline.TCP, ownline.UDP))
	case s.Kind == ownline.Proxy && s.Transport != ownline.TCP:
		return ownline.Invalid("transport", "must be \"tcp\" for a service of kind proxy")
	}
	if err := checkOptions(s, site); err != nil {
		return err
	}
	if err := cmp.Or(ownline.CheckServiceName(s.Name), checkIcon(s.Icon, was.Icon)); err != nil {
		return err
	}
	if !s.Target4.IsValid() && !s.Target6.IsValid() {
		return ownline.Invalid("target", "is needed: the address and port of the service in the LAN, as in 192.168.1.10:22")
	}
	return cmp.Or(checkTarget("target", s.Target4, true, site), checkTarget("target6", s.Target6, false, site))
}

// checkOptions refuses what the proxy could not follow.
func checkOptions(s ownline.Service, site ownline.Site) error {
	switch {
	case s.Kind != ownline.Proxy && !reflect.DeepEqual(s.Proxy, ownline.ProxyOptions{}):
		return ownline.Invalid("options", "are for services of kind proxy")
	case s.Proxy.Template != "" && site.Proxy.Driver != "" && site.Proxy.Driver != ownline.NginxProxy:
		return ownline.Invalid("options.template", fmt.Sprintf("is for sites whose proxy.driver in core.yaml is nginx; this one's is %s", site.Proxy.Driver))
	}
	if err := s.Proxy.Validate(); err != nil {
		return err
	}
	if site.Proxy.Driver == ownline.NginxProxy {
		for _, name := range slices.Sorted(maps.Keys(s.Proxy.Headers)) {
			if strings.Contains(s.Proxy.Headers[name], "$") {
				return ownline.Invalid("options.headers", fmt.Sprintf("the value of %s must have no $, which nginx, this site's proxy, can't be told to leave alone", name))
			}
		}
	}
	_, err := serverblock.Text(s)
	return err
}

// checkLogin refuses a login in front of a service when there is nowhere to log in.
func (a *Access) checkLogin(s, was ownline.Service) error {
	if s.Proxy.RequireLogin && !was.Proxy.RequireLogin && a.publicURL == "" && !a.publish.IsValid() {
		return ownline.Conflict("options.require_login", "needs public_url in web.yaml, where people log in")
	}
	return nil
}

// checkNewService refuses what can't be made, although it could stay: a name of web's own,
// and what is proxied where there is no proxy. A core that has not told yet may have one.
func checkNewService(s ownline.Service, site ownline.Site) error {
	if err := checkReserved(s); err != nil {
		return err
	}
	if s.Kind == ownline.Proxy && site.Proxy.Driver != "" && !site.Proxy.Serves() {
		return ownline.Conflict("kind", "proxy needs the site's reverse proxy, which is not set up: set proxy.domain, and a proxy.driver that is not none, in its core.yaml")
	}
	return nil
}

// checkReserved refuses names that lead to web itself.
func checkReserved(s ownline.Service) error {
	switch {
	case s.Name == ownline.OwnService:
		return ownline.Invalid("name", fmt.Sprintf("%q is for Ownline's own pages: set publish in web.yaml", s.Name))
	case s.Name == ownline.Doorstep:
		return ownline.Invalid("name", fmt.Sprintf("%q is where guests meet Ownline: choose another one", s.Name))
	case s.Name == ownline.BrokerName && s.Kind == ownline.Proxy:
		return ownline.Invalid("name", fmt.Sprintf("%q is the name of the broker inside Ownline, for which the router signs certificates: choose another one for a proxied service", s.Name))
	}
	return nil
}

func checkTarget(field string, t netip.AddrPort, v4 bool, site ownline.Site) error {
	if t == (netip.AddrPort{}) {
		return nil
	}
	addr := t.Addr()
	in := func(p netip.Prefix) bool { return p.Contains(addr) }
	switch {
	case t.Port() == 0 || !addr.IsValid():
		return ownline.Invalid(field, "needs an address and a port of 1 to 65535")
	case v4 && !addr.Is4():
		return ownline.Invalid(field, "must be an IPv4 address; an IPv6 one belongs into target6")
	case !v4 && (!addr.Is6() || addr.Is4In6() || addr.Zone() != ""):
		return ownline.Invalid(field, "must be an IPv6 address without a zone")
	case addr.IsLoopback() || addr.IsUnspecified() || addr.IsMulticast() || addr.IsLinkLocalUnicast():
		return ownline.Invalid(field, fmt.Sprintf("%s can't be reached from the router: use the host's address in the LAN", addr))
	case len(site.LocalNetworks) == 0:
		return ownline.Invalid(field, "can't be checked: the site's core has not told its local networks; see local_networks in core.yaml")
	case !slices.ContainsFunc(site.LocalNetworks, in):
		return ownline.Invalid(field, fmt.Sprintf("%s is in none of the site's local networks (%s)", addr, prefixes(site.LocalNetworks)))
	}
	return nil
}

func prefixes(ps []netip.Prefix) string {
	var out []string
	for _, p := range ps {
		out = append(out, p.String())
	}
	return strings.Join(out, ", ")
}

// ChangeService changes a service (admin).
func (a *Access) ChangeService(ctx context.Context, actor Actor, id ownline.ServiceID, w ServiceChange) (s ownline.Service, err error) {
	if err := actor.MustAdmin(); err != nil {
		return ownline.Service{}, err
	}
	err = a.changeAndEnforce(ctx, actor, func(c *change) (err error) {
		if s, err = c.Service(id); err != nil {
			return err
		}
		if w.Kind != nil && *w.Kind != s.Kind {
			return ownline.Invalid("kind", fmt.Sprintf("is %q and can't be changed: remove the service, and make another", s.Kind))
		}
		was := s
		set(&s.Name, w.Name)
		set(&s.Transport, w.Transport)
		set(&s.Target4, w.Target4)
		set(&s.Target6, w.Target6)
		set(&s.Proxy, w.Proxy)
		set(&s.Icon, w.Icon)
		if err := checkOwn(s, was); err != nil {
			return err
		}
		site, err := c.Site(s.Site)
		if err != nil {
			return err
		}
		if err := cmp.Or(checkService(s, was, site), a.checkLogin(s, was)); err != nil {
			return err
		}
		if s.Transport != was.Transport || s.Target4 != was.Target4 || s.Target6 != was.Target6 {
			if err := c.insideLeaves(was); err != nil {
				return err
			}
		}
		if err := cmp.Or(c.SaveService(s), c.served(s)); err != nil {
			return err
		}
		elsewhere := func(e ownline.SessionInfo) bool {
			target, _ := s.Target(e.Source.Addr())
			return s.Kind == ownline.Forward && (e.Transport != s.Transport || e.Target != target)
		}
		if _, err := c.endAll(ownline.SessionQuery{Service: id}, ownline.Revoked, elsewhere); err != nil {
			return err
		}
		c.publish(Event{Kind: EventService, Resource: s})
		return c.audit("service.change", id.String(), s.Site, describeServiceChange(was, s))
	})
	if err != nil {
		return ownline.Service{}, err
	}
	return s, nil
}

// PreviewService returns what the site's router would write into the configuration of its proxy
// for a service, with other options when those are not nil (admin). It changes nothing.
func (a *Access) PreviewService(ctx context.Context, actor Actor, id ownline.ServiceID, options *ownline.ProxyOptions) (string, error) {
	if err := actor.MustAdmin(); err != nil {
		return "", err
	}
	var s ownline.Service
	err := a.store.Read(ctx, func(tx Tx) (err error) {
		if s, err = tx.Service(id); err != nil {
			return err
		}
		if s.Kind != ownline.Proxy {
			return ownline.Conflict("service", "is a forward; those of kind proxy alone are in the configuration of a proxy")
		}
		site, err := tx.Site(s.Site)
		if err != nil {
			return err
		}
		set(&s.Proxy, options)
		return checkOptions(s, site)
	})
	if err != nil {
		return "", err
	}
	v, err := serverblock.Service(s)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, enforceTimeout)
	defer cancel()
	return a.enforcer.Preview(ctx, s.Site, v)
}

// checkOwn keeps the service that is web itself as web keeps it, and its name from others.
func checkOwn(s, was ownline.Service) error {
	if was.Everybody {
		was.Icon = s.Icon
		if !reflect.DeepEqual(s, was) {
			return errOwnService
		}
	}
	if s.Name != was.Name {
		return checkReserved(s)
	}
	return nil
}

var errOwnService = ownline.Conflict("service", "is Ownline itself, and kept as publish in web.yaml says")

// RemoveService removes a service with its grants (admin) and ends its sessions; history
// keeps it.
func (a *Access) RemoveService(ctx context.Context, actor Actor, id ownline.ServiceID) error {
	if err := actor.MustAdmin(); err != nil {
		return err
	}
	return a.changeAndEnforce(ctx, actor, func(c *change) error {
		s, err := c.Service(id)
		if err != nil {
			return err
		}
		if s.Everybody {
			return errOwnService
		}
		if _, err := c.endAll(ownline.SessionQuery{Service: id}, ownline.Revoked, nil); err != nil {
			return err
		}
		if err := cmp.Or(c.served(s), c.insideLeaves(s)); err != nil {
			return err
		}
		readers, err := grantees(c.Tx, id)
		if err != nil {
			return err
		}
		if err := c.RemoveService(id, c.now); err != nil {
			return err
		}
		c.publish(Event{Kind: EventService, Removed: true, Resource: s, readers: readers})
		return c.audit("service.remove", id.String(), s.Site, s.Name)
	})
}

// grantees lists whom a service is granted to.
func grantees(tx Tx, id ownline.ServiceID) (out []ownline.UserID, err error) {
	p := ownline.Page{Limit: ownline.MaxLimit}
	for {
		gs, next, err := tx.Grants(ownline.GrantQuery{Page: p, Service: id})
		for _, g := range gs {
			out = append(out, g.User)
		}
		if err != nil || next == "" {
			return out, err
		}
		p.Cursor = next
	}
}
