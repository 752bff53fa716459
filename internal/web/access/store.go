package access

import (
	"context"
	"net/netip"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/policy"
)

// Store keeps what should be, in transactions: whatever f returns as an error is undone
// whole. A nil of Write means that the change survives a loss of power.
type Store interface {
	Read(ctx context.Context, f func(Tx) error) error
	Write(ctx context.Context, f func(Tx) error) error
}

// Over makes a Store of one with a transaction type of its own.
func Over[T Tx](s interface {
	Read(context.Context, func(T) error) error
	Write(context.Context, func(T) error) error
},
) Store {
	return over[T]{s.Read, s.Write}
}

type over[T Tx] struct {
	read, write func(context.Context, func(T) error) error
}

func (o over[T]) Read(ctx context.Context, f func(Tx) error) error {
	return o.read(ctx, func(t T) error { return f(t) })
}

func (o over[T]) Write(ctx context.Context, f func(Tx) error) error {
	return o.write(ctx, func(t T) error { return f(t) })
}

// Tx is a transaction. What is looked for by identifier or name and is not there, or was
// removed, is ErrNotFound; what must be unique and is not, ErrConflict about the field.
// Lists come with the cursor of their next page.
type Tx interface {
	userRows
	siteRows
	serviceRows
	grantRows
	deviceRows
	sessionRows
	transferRows
	invitationRows
	passRows
	refusalRows

	Audit(ownline.AuditEntry) error
	// CutAudit lets ForgetAudit delete the lines before, unless it did so less than every
	// ago; that itself is written into the log. ForgetAudit deletes some, the oldest first.
	CutAudit(before, now time.Time, every time.Duration) error
	ForgetAudit(atMost int) (int, error)
	AuditLines(ownline.AuditQuery) ([]ownline.AuditLine, string, error)
	Setting(key string) (string, error)
	SetSetting(key, value string) error
	Epoch() (string, error) // of the revisions
	NewEpoch() error
	// CountChange counts a change that every process's readers of events are to learn of, and
	// returns the count with it; Changes returns the count.
	CountChange() (int64, error)
	Changes() (int64, error)
	// Sweep forgets what is over at now, and idempotency keys older than since.
	Sweep(now, since time.Time) error
}

type userRows interface {
	User(ownline.UserID) (ownline.User, error)
	UserNamed(string) (ownline.User, error)
	Users(ownline.UserQuery) ([]ownline.User, string, error)
	CountAdmins() (int, error) // who may sign in
	AddUser(u ownline.User, password string) error
	SaveUser(ownline.User) error
	SetPassword(u ownline.UserID, password string) error
	SignOut(ownline.UserID) error                     // forgets logins and tokens
	ForgetFactors(ownline.UserID) error               // second factor, recovery codes and passkeys
	RemoveUser(u ownline.UserID, now time.Time) error // and their grants, devices, logins, tokens, links
	// Links are with the subjects of identity providers; Linked returns whose one is.
	Linked(issuer, subject string) (ownline.User, error)
	CountLinks(u ownline.UserID, issuer string) (int, error)
	Link(u ownline.UserID, issuer, subject string, now time.Time) error
	Links(ownline.UserID) ([]ownline.ExternalLink, error)
	Unlink(ownline.UserID) error
}

type siteRows interface {
	Site(ownline.SiteID) (ownline.Site, error)
	AnySite(ownline.SiteID) (ownline.Site, error) // also one that was removed
	Sites() ([]ownline.Site, error)
	SitesOf(ownline.UserID) ([]ownline.Site, error) // where the user has a device or may use a service
	SitesToCommand(removedSince time.Time) ([]ownline.Site, error)
	// BrokerCertificate is what the broker inside web shows, if a site's router has signed it.
	BrokerCertificate() (ownline.BrokerCertificate, error)
	AddSite(ownline.Site) error
	SaveSite(ownline.Site) error
	PairSite(ownline.Site) error // saves where its core is, and its key
	Bump(ownline.SiteID) (revision uint64, err error)
	RemoveSite(s ownline.SiteID, now time.Time) error // and its services, their grants, its devices
	ClearSite(ownline.SiteID) error                   // removed, and its core knows
}

type serviceRows interface {
	Service(ownline.ServiceID) (ownline.Service, error)
	// Services lists those that a user may use (zero: all).
	Services(p ownline.Page, site ownline.SiteID, grantedTo ownline.UserID) ([]ownline.Service, string, error)
	ServicesNamed(string) ([]ownline.Service, error)
	ProxiedServices(ownline.SiteID) ([]ownline.Service, error)
	// FixedPorts lists the forwards that are granted at a port of their own, by port and transport.
	FixedPorts(ownline.SiteID) ([]link.Inside, error)
	AddService(ownline.Service) error
	Icon(ownline.ServiceID) (content []byte, kind string, err error) // the uploaded one
	SaveIcon(s ownline.ServiceID, content []byte, kind string) error
	SaveService(ownline.Service) error
	RemoveService(s ownline.ServiceID, now time.Time) error // and its grants
}

type grantRows interface {
	Grant(ownline.GrantID) (ownline.Grant, error)
	GrantOf(ownline.UserID, ownline.ServiceID) (ownline.Grant, error) // zero: none
	Grants(ownline.GrantQuery) ([]ownline.Grant, string, error)
	Offers(ownline.UserID, ownline.SiteID) ([]policy.Offer, error)
	AddGrant(ownline.Grant) error
	SaveGrant(ownline.Grant) error
	RemoveGrant(ownline.GrantID) error
}

type deviceRows interface {
	Device(ownline.DeviceID) (ownline.Device, error)
	Devices(p ownline.Page, user ownline.UserID, site ownline.SiteID) ([]ownline.Device, string, error)
	DevicesOf(ownline.UserID) ([]ownline.Device, error)
	CoreDevices(ownline.SiteID) ([]link.Device, error)      // whose knocks count, with their secrets
	FwknopDevices(ownline.SiteID) ([]ownline.Device, error) // those that are fwknop clients, likewise
	DeviceSecret(ownline.DeviceID) (ownline.Secret, error)
	AddDevice(ownline.Device) error
	SaveDevice(ownline.Device) error // its name, whether it must name its source, and where that may be
	SetDeviceSecret(ownline.DeviceID, ownline.Secret) error
	RevokeDevice(ownline.DeviceID) error
	RemoveDevice(d ownline.DeviceID, now time.Time) error
	// Knocker returns a device with its user and its site.
	Knocker(ownline.DeviceID) (ownline.Device, ownline.User, ownline.Site, error)
	// AcceptKnock records a knock and reports whether it counts, by the rule of
	// knock.Memory. When it does not, the transaction must be given up.
	AcceptKnock(d ownline.DeviceID, n knock.Nonce, made time.Time, skew time.Duration, source netip.Prefix, now time.Time) (bool, error)
}

type invitationRows interface {
	Invitation(ownline.InvitationID) (ownline.InvitationInfo, error)
	// InvitationEnds tells, by who invites and to which service of a site, when the last of the
	// invitations ends that can be redeemed at now; what ends last comes first.
	InvitationEnds(s ownline.SiteID, now time.Time) ([]ownline.InvitationEnd, error)
	InvitationByHash(hash []byte) (ownline.InvitationInfo, error)
	Invitations(ownline.InvitationQuery) ([]ownline.InvitationInfo, string, error)
	AddInvitation(i ownline.Invitation, hash []byte, unseals ownline.Secret) error
	// Use takes one use and reports whether there was one to take.
	Use(i ownline.InvitationID, now time.Time) (bool, error)
	Unuse(ownline.InvitationID) error
	RevokeInvitation(i ownline.InvitationID, now time.Time) error
	// RedeemOnce records the nonce of a sealed message and reports whether it is new.
	RedeemOnce(i ownline.InvitationID, nonce []byte, now time.Time) (bool, error)
	Unsealing() (map[ownline.InvitationID]ownline.Secret, error)
}

type refusalRows interface {
	// Refuse counts knocks that were refused.
	Refuse(ownline.Refusal) error
	// RefusedMore takes note of what a run of a site's core has counted, and returns what is new of it.
	RefusedMore(s ownline.SiteID, run, reason string, number uint64, now time.Time) (uint64, error)
	Refusals(ownline.RefusalQuery) ([]ownline.RefusalInfo, error)
	// ForgetRefusals deletes some that were counted before a day, the oldest first.
	ForgetRefusals(before time.Time, atMost int) (int, error)
}

type passRows interface {
	// PutPass keeps a pass; of a login that is none of the user's at now it is ErrNotFound.
	PutPass(p ownline.Pass, now time.Time) (ownline.Pass, error)
	Passes(site ownline.SiteID, now time.Time) ([]ownline.PassInfo, error)
	// MayPass reports whether a user has a grant for the service, or a live session of their
	// own; LosePasses forgets the passes of one who may not, and reports whether there were any.
	MayPass(ownline.UserID, ownline.ServiceID) (bool, error)
	LosePasses(ownline.UserID, ownline.ServiceID) (bool, error)
}

type sessionRows interface {
	Session(ownline.SessionID) (ownline.SessionInfo, error)
	Sessions(ownline.SessionQuery) ([]ownline.SessionInfo, string, error)
	LiveSessions(ownline.SessionQuery) ([]ownline.SessionInfo, error) // all, whatever the page
	// GuestSessions lists those of a site that invitations have opened since, but those that were over before gone.
	GuestSessions(s ownline.SiteID, since, gone time.Time) ([]ownline.SessionInfo, error)
	// LiveNear lists the site's live sessions of a source, and those of a device.
	LiveNear(ownline.SiteID, netip.Prefix, ownline.DeviceID) ([]ownline.Session, error)
	AddSession(ownline.Session) error
	SaveSession(ownline.Session) error
	SaveTraffic(ownline.SessionID, ownline.Traffic) error
	DueSessions(now time.Time) ([]ownline.SessionInfo, error)
	// Unapplied lists the sessions of a site that were changed by later revisions than that,
	// newest first, and counts them all.
	Unapplied(s ownline.SiteID, after uint64, limit int) ([]ownline.SessionInfo, int, error)
	NextExpiry() (time.Time, error) // zero: no session lives
	Idempotent(u ownline.UserID, key string, since time.Time) (s ownline.SessionID, ask string, err error)
	KeepIdempotent(u ownline.UserID, key, ask string, s ownline.SessionID, now time.Time) error
	ForgetIdempotent(ownline.SessionID) error
	// ForgetSessions deletes some sessions that ended before, and what hangs on them; the
	// oldest first. It returns how many.
	ForgetSessions(before time.Time, atMost int) (int, error)
	// ForgetAttempts deletes some tries to sign in that were made before.
	ForgetAttempts(before time.Time, atMost int) (int, error)
	// LiveCounts counts the live sessions by site and state.
	LiveCounts() ([]ownline.LiveCount, error)
}
