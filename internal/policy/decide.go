package policy

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// Limits are the part of the configuration that decisions depend on.
type Limits struct {
	Default   time.Duration   // of a session that a person opens without saying how long
	Max       time.Duration   // of any session
	Automatic time.Duration   // of a session that a knock opens without saying how long
	PortMin   uint16          // first public port that may be chosen
	PortMax   uint16          // last one
	Origins   ownline.Origins // of every session
}

// Facts are what a decision about one user and one service depends on.
type Facts struct {
	User    ownline.User
	Service ownline.Service
	Grant   ownline.Grant  // of the user to the service; zero: none
	Device  ownline.Device // that knocks, or whose session it is; zero: none
	Site    ownline.Site   // of the service
	Holes   []Hole         // of the live sessions of that site; those of other sources are passed over
	Limits  Limits
}

// Hole is what a live session takes up at its site.
type Hole struct {
	Source    netip.Prefix
	Transport ownline.Transport
	Port      uint16
	Target    netip.AddrPort
}

// Ask is what is wanted.
type Ask struct {
	Source    netip.Addr    // whom to admit
	Origin    Origin        // where that is
	For       time.Duration // 0: the default
	Port      uint16        // public port; 0: any. Renewing keeps the port that the session has.
	Knocked   bool          // a device asks; otherwise a person
	Chosen    bool          // Source is not where the asker comes from
	Unclaimed bool          // a knock that does not say that Source is where it comes from
	Invited   bool          // a guest asks, in the name of the user who invited
}

// Opening is what may be opened.
type Opening struct {
	Source        netip.Prefix
	Transport     ownline.Transport
	PublicPort    uint16
	AllowReserved bool
	Target        netip.AddrPort
	Until         time.Time
}

// Decide says whether, where and until when the user may use the service. Who may not know
// of the service gets ErrNotFound about the field "service"; who may know but not now,
// ErrForbidden; every other refusal names its field, too.
func Decide(ask Ask, f Facts, now time.Time) (Opening, error) {
	if err := May(ask, f); err != nil {
		return Opening{}, err
	}
	o, err := Place(ask.Source, f)
	if err != nil {
		return Opening{}, err
	}
	if err := From(ask, f); err != nil {
		return Opening{}, err
	}
	d, err := Duration(ask, f)
	if err != nil {
		return Opening{}, err
	}
	o.Until = now.Add(d)
	o.PublicPort, err = Port(ask.Port, o, f)
	if err != nil {
		return Opening{}, err
	}
	o.AllowReserved = allowReserved(o.PublicPort, f.Grant)
	return o, nil
}

// Renew says until when a session that is live may stay. It never shortens: until is when
// the session ends now.
func Renew(ask Ask, f Facts, until, now time.Time) (time.Time, error) {
	if err := May(ask, f); err != nil {
		return time.Time{}, err
	}
	if err := From(ask, f); err != nil {
		return time.Time{}, err
	}
	d, err := Duration(ask, f)
	if err != nil {
		return time.Time{}, err
	}
	if t := now.Add(d); t.After(until) {
		until = t
	}
	return until, nil
}

// May says whether the user may use the service at all. An admin may use every service by
// request; a knock always needs a grant, so that a stolen device opens no more than was
// meant for it. A service for everybody needs none, but is not for guests.
func May(ask Ask, f Facts) error {
	admin := f.User.Role == ownline.Admin
	switch {
	case f.User.ID.IsZero() || f.User.Disabled:
		return ownline.Forbidden("user", "is disabled")
	case f.Service.ID.IsZero():
		return ownline.NotFound("service", "")
	case f.Service.Everybody && f.Grant.ID.IsZero() && !ask.Invited:
	case f.Grant.ID.IsZero() && (ask.Knocked || !admin):
		return ownline.NotFound("service", f.Service.ID.String()) // its name is not for everybody
	case !f.Grant.ID.IsZero() && (f.Grant.User != f.User.ID || f.Grant.Service != f.Service.ID):
		return ownline.Forbidden("grant", "is another's")
	case ask.Chosen && !admin:
		return ownline.Forbidden("source", "only an admin may open a session for another address than the own")
	}
	return nil
}

// Proxied says why services of kind proxy can't be opened at a site, or nil.
func Proxied(s ownline.Site) error {
	switch {
	case s.Proxy.Serves():
		return nil
	case s.Proxy.Driver == "":
		return ownline.Conflict("service", "needs the site's reverse proxy, and its core has not told of one yet; is it connected?")
	}
	return ownline.Conflict("service", "needs the site's reverse proxy, which is not set up: set proxy.domain, and a proxy.driver that is not none, in its core.yaml")
}

// Place says whom a session would admit, and to what: the source that an address stands
// for and the service's target of its family. Of a proxied service there is no target, and
// sources of both families are admitted whatever the proxy itself goes on to.
func Place(source netip.Addr, f Facts) (Opening, error) {
	prefix, err := ownline.SourceOf(source, f.Site.IPv6Prefix)
	if err != nil {
		return Opening{}, err
	}
	for _, n := range f.Site.LocalNetworks {
		if n.Contains(source.Unmap()) {
			return Opening{}, ownline.Invalid("source", fmt.Sprintf("%s is inside the site's network %s: no session is needed there", source, n))
		}
	}
	if f.Service.Kind == ownline.Proxy {
		if err := Proxied(f.Site); err != nil {
			return Opening{}, err
		}
		return Opening{Source: prefix, Transport: ownline.TCP}, nil // core knows where its proxy is
	}
	target, ok := f.Service.Target(prefix.Addr())
	if !ok {
		have, lack := "IPv4", "IPv6"
		if prefix.Addr().Is4() {
			have, lack = lack, have
		}
		return Opening{}, ownline.Invalid("source", fmt.Sprintf("%s is an %s source, but %q has only an %s target", prefix.Addr(), lack, f.Service.Name, have))
	}
	return Opening{Source: prefix, Transport: f.Service.Transport, Target: target}, nil
}

// Duration says how long a session may last: what is asked for, or the default of its
// kind. The grant and the configuration limit it: a device gets what it may have, because
// it can't read, and a guest, because it was promised when the grant was longer; a person who
// asks for more is told.
func Duration(ask Ask, f Facts) (time.Duration, error) {
	d := ask.For
	switch {
	case d < 0 || (d > 0 && d < time.Second):
		return 0, ownline.Invalid("for", "must be at least 1s")
	case d == 0 && ask.Knocked:
		d = f.Limits.Automatic
	case d == 0:
		d = f.Limits.Default
	}
	longest := f.Limits.Max
	if f.Grant.MaxDuration > 0 {
		longest = min(longest, f.Grant.MaxDuration)
	}
	if ask.For > longest && !ask.Knocked && !ask.Invited {
		return 0, ownline.Invalid("for", fmt.Sprintf("%v is too long: at most %v for you", ask.For, longest))
	}
	return min(d, longest), nil
}
