package access

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ownline/ownline/internal/invitation"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/policy"
)

// Bounds of invitations.
const (
	maxMessage     = 240 // characters
	maxUses        = 1000
	defaultLife    = 24 * time.Hour
	maxLife        = 366 * 24 * time.Hour
	maxInvitations = 500 // of one user that are not over
)

// NewInvitation is what somebody tells of a new invitation.
type NewInvitation struct {
	Service   ownline.ServiceID
	Message   string
	For       time.Duration // of each session; 0: the default, as far as it is allowed
	Uses      int           // 0: 1
	Lasts     time.Duration // for how long it can be redeemed; 0: a day
	Countries []string      // ISO 3166-1 alpha-2; empty: from anywhere
}

// InvitationsAsk selects invitations.
type InvitationsAsk struct {
	ownline.InvitationQuery
	All bool // everybody's (admin); otherwise the actor's own, or those of InvitationQuery.User (admin)
}

// Invite makes an invitation to a service that the actor may open. The secret of its link is
// returned here and nowhere else. When it returns, the guest is expected where Doorstep says.
func (a *Access) Invite(ctx context.Context, actor Actor, n NewInvitation) (i ownline.InvitationInfo, secret ownline.Secret, err error) {
	if err := actor.May(ownline.ScopeInvitations); err != nil {
		return i, nil, err
	}
	if actor.User.ID.IsZero() {
		return i, nil, ownline.Forbidden("user", "an invitation belongs to a user: sign in as one")
	}
	if n, err = a.checkInvitation(n); err != nil {
		return i, nil, err
	}
	secret = make(ownline.Secret, invitation.SecretSize)
	rand.Read(secret) // never fails: crypto/rand crashes the program instead
	unseals, err := invitation.Derive(secret)
	if err != nil {
		return i, nil, err
	}
	err = a.changeAndEnforce(ctx, actor, func(c *change) error {
		f, err := a.facts(c.Tx, actor.User.ID, n.Service)
		if err != nil {
			return err
		}
		if f.Service.Everybody {
			return ownline.Invalid("service", "is Ownline itself, where a guest has nothing to do")
		}
		ask := policy.Ask{For: n.For}
		f.User.Role = actor.role(f.User)
		if err := policy.May(ask, f); err != nil {
			return err
		}
		length, err := policy.Duration(ask, f)
		if err != nil {
			return err
		}
		made := ownline.Invitation{
			ID: ownline.NewID[ownline.Invitation](), User: actor.User.ID, Service: n.Service, Message: n.Message, For: length,
			Uses: n.Uses, Countries: n.Countries, Created: c.now, Expires: c.now.Add(n.Lasts),
		}
		if err := c.roomForInvitation(actor.User.ID); err != nil {
			return err
		}
		if err := c.AddInvitation(made, invitation.Hash(secret), unseals); err != nil {
			return err
		}
		if i, err = c.Invitation(made.ID); err != nil {
			return err
		}
		c.invitation(i)
		c.tell(ownline.News{Kind: ownline.InvitationCreated, User: i.UserName, Service: i.ServiceName, Site: i.SiteName, Source: hostOf(actor.Client), Until: i.Expires})
		return c.audit("invitation.add", i.ID.String(), i.Site, describeInvitation(i))
	})
	if err != nil {
		return ownline.InvitationInfo{}, nil, err
	}
	return i, secret, nil
}

var countryForm = regexp.MustCompile(`^[A-Z]{2}$`)

// checkInvitation fills in what was left out, and refuses what can't be.
func (a *Access) checkInvitation(n NewInvitation) (NewInvitation, error) {
	n.Message = strings.TrimSpace(n.Message)
	ok := utf8.ValidString(n.Message) && utf8.RuneCountInString(n.Message) <= maxMessage
	for _, r := range n.Message {
		ok = ok && (r == '\n' || unicode.IsPrint(r))
	}
	if !ok {
		return n, ownline.Invalid("message", fmt.Sprintf("must be %d printable characters at most", maxMessage))
	}
	if n.Uses == 0 {
		n.Uses = 1
	}
	if n.Uses < 1 || n.Uses > maxUses {
		return n, ownline.Invalid("uses", fmt.Sprintf("must be 1 to %d", maxUses))
	}
	if n.Lasts == 0 {
		n.Lasts = defaultLife
	}
	if n.Lasts < time.Minute || n.Lasts > maxLife {
		return n, ownline.Invalid("expires_in", "must be 1m to 8784h (366 days)")
	}
	var countries []string
	for _, c := range n.Countries {
		c = strings.ToUpper(c)
		if !countryForm.MatchString(c) {
			return n, ownline.Invalid("countries", "must be codes of two letters like ES (ISO 3166-1)")
		}
		countries = append(countries, c)
	}
	slices.Sort(countries)
	n.Countries = slices.Compact(countries)
	if err := CheckCountries("countries", n.Countries); err != nil {
		return n, err
	}
	if len(n.Countries) > 0 && a.countries == nil {
		return n, ownline.Invalid("countries", "needs a database that knows where addresses are; an admin names it as policy.geoip_database in web.yaml")
	}
	return n, nil
}

// roomForInvitation keeps one user from filling the table that every sealed ask is looked up in.
func (c *change) roomForInvitation(u ownline.UserID) error {
	left := maxInvitations
	q := ownline.InvitationQuery{User: u, State: ownline.InvitationValid, Now: c.now, Page: ownline.Page{Limit: ownline.MaxLimit}}
	for {
		is, next, err := c.Invitations(q)
		if err != nil {
			return err
		}
		if left -= len(is); left <= 0 {
			return ownline.Conflict("service", fmt.Sprintf("you have %d invitations that are not used yet; revoke some first", maxInvitations))
		}
		if next == "" {
			return nil
		}
		q.Cursor = next
	}
}

func describeInvitation(i ownline.InvitationInfo) string {
	s := fmt.Sprintf("%s, %d times for %s each, until %s", i.ServiceName, i.Uses, i.For, i.Expires.Format(time.RFC3339))
	if len(i.Countries) > 0 {
		s += ", from " + strings.Join(i.Countries, " ")
	}
	return s
}

// Invitations lists invitations, newest first, and the cursor of the next page.
func (a *Access) Invitations(ctx context.Context, actor Actor, q InvitationsAsk) (is []ownline.InvitationInfo, next string, err error) {
	if err := actor.May(ownline.ScopeRead, ownline.ScopeInvitations, ownline.ScopeAdmin); err != nil {
		return nil, "", err
	}
	if q.All && !actor.Oversees() {
		return nil, "", ownline.Forbidden("all", "only an admin may see everybody's invitations")
	}
	if q.User.IsZero() && !q.All {
		q.User = actor.User.ID // zero for a command: everybody's
	}
	if q.User, err = actor.onlyOwn(q.User); err != nil {
		return nil, "", err
	}
	q.Now = now()
	err = a.store.Read(ctx, func(tx Tx) (err error) {
		is, next, err = tx.Invitations(q.InvitationQuery)
		return err
	})
	return is, next, err
}

// Invitation returns an invitation: an admin any, others their own.
func (a *Access) Invitation(ctx context.Context, actor Actor, id ownline.InvitationID) (i ownline.InvitationInfo, err error) {
	if err := actor.May(ownline.ScopeRead, ownline.ScopeInvitations, ownline.ScopeAdmin); err != nil {
		return i, err
	}
	err = a.store.Read(ctx, func(tx Tx) (err error) {
		i, err = tx.Invitation(id)
		return err
	})
	if err == nil && !actor.sees(i.User) {
		return ownline.InvitationInfo{}, ownline.NotFound("invitation", id.String())
	}
	return i, err
}

// RevokeInvitation makes an invitation worthless and ends the sessions that it opened. One
// that is revoked already stays as it is.
func (a *Access) RevokeInvitation(ctx context.Context, actor Actor, id ownline.InvitationID) (i ownline.InvitationInfo, err error) {
	if err := actor.May(ownline.ScopeInvitations, ownline.ScopeAdmin); err != nil {
		return i, err
	}
	err = a.changeAndEnforce(ctx, actor, func(c *change) (err error) {
		if i, err = c.Invitation(id); err != nil {
			return err
		}
		if !actor.owns(i.User) {
			return ownline.NotFound("invitation", id.String())
		}
		if !i.Revoked.IsZero() {
			return nil
		}
		if err := c.RevokeInvitation(id, c.now); err != nil {
			return err
		}
		i.Revoked = c.now
		n, err := c.endAll(ownline.SessionQuery{Invitation: id}, ownline.Revoked, nil)
		if err != nil {
			return err
		}
		c.invitation(i)
		return c.audit("invitation.revoke", id.String(), i.Site, fmt.Sprintf("%s; sessions ended: %d", i.ServiceName, n))
	})
	if err != nil {
		return ownline.InvitationInfo{}, err
	}
	return i, nil
}

// Unsealing returns, by invitation, what opens its sealed asks.
func (a *Access) Unsealing(ctx context.Context) (keys map[ownline.InvitationID]ownline.Secret, err error) {
	err = a.store.Read(ctx, func(tx Tx) (err error) {
		keys, err = tx.Unsealing()
		return err
	})
	return keys, err
}

func (c *change) invitation(i ownline.InvitationInfo) {
	c.publish(Event{Kind: EventInvitation, Owner: i.User, Resource: i})
}

// hostOf is one address as a network; of no address the zero one.
func hostOf(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
