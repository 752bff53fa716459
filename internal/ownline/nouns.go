package ownline

import (
	"net/netip"
	"time"
)

// Transport is the protocol of a service: TCP or UDP.
type Transport string

// The transports.
const (
	TCP Transport = "tcp"
	UDP Transport = "udp"
)

// ServiceKind tells how a service is reached.
type ServiceKind string

// The kinds of service.
const (
	Forward ServiceKind = "forward" // a port of the router, by destination NAT
	Proxy   ServiceKind = "proxy"   // a name under the site's domain, by the reverse proxy
)

// Role tells what a user may do.
type Role string

// The roles.
const (
	Admin  Role = "admin"
	Person Role = "user"
)

// User is a person with a login.
type User struct {
	ID       UserID
	Name     string // 1 to 64 of a-z 0-9 . _ -
	Role     Role
	Disabled bool
	// MustChange: an admin knows the password, so the user has to choose another before
	// anything else.
	MustChange bool
	Created    time.Time
	// LastSignIn is told where users are shown; zero: never, as far as tries to sign in are kept.
	LastSignIn time.Time
}

// Site is a LAN with one router that runs a core.
type Site struct {
	ID            SiteID
	Name          string
	Host          string         // public name or address that clients connect to
	Link          string         // "HOST:PORT" where core listens, or "" when core dials
	Pin           string         // of core's link key: link.Pin
	KnockPort     uint16         // as core told; 0 before the first contact
	FwknopPort    uint16         // as core told; 0: it does not hear fwknop clients
	LocalNetworks []netip.Prefix // as core told
	ReservedPorts []uint16       // as core told: what the router serves itself
	Proxy         SiteProxy      // as core told
	IPv6Prefix    int            // bits of an IPv6 source that count, 48 to 128
	AllowedFrom   Origins        // of every session there
	Revision      uint64         // of the desired state; grows with every change
	Removed       bool           // taken off the lists; its core is to be told still
	Created       time.Time
}

// Service is something private in a site's LAN.
type Service struct {
	ID        ServiceID
	Site      SiteID
	Name      string // unique in its site: 1 to 63 of a-z 0-9 -, also the sub-domain
	Kind      ServiceKind
	Transport Transport
	Target4   netip.AddrPort // zero: not reachable over IPv4
	Target6   netip.AddrPort // zero: not reachable over IPv6
	Proxy     ProxyOptions   // of kind Proxy
	Everybody bool           // every user may use it without a grant: only of OwnService
	Icon      string
	Created   time.Time
	SiteProxy SiteProxy // of its site; not kept with the service
}

// URL returns where a service of kind Proxy is; "" for others, and while its site has no
// reverse proxy.
func (s Service) URL() string {
	if s.Kind != Proxy {
		return ""
	}
	return s.SiteProxy.URL(s.Name)
}

// Target returns where a source of the same family as addr is sent, and whether there is
// such a target.
func (s Service) Target(addr netip.Addr) (netip.AddrPort, bool) {
	t := s.Target4
	if addr.Is6() && !addr.Is4In6() {
		t = s.Target6
	}
	return t, t.IsValid()
}

// Grant lets a user use a service.
type Grant struct {
	ID                   GrantID
	User                 UserID
	Service              ServiceID
	Automatic            bool          // a knock opens it
	PublicPort           uint16        // 0: any of the site's range
	AllowReserved        bool          // PublicPort may be one that the router serves itself
	MaxDuration          time.Duration // 0: the configured maximum
	MaxSources           int           // of one device side by side, at most MostSources; 0: UsualSources
	AllowedFrom          Origins       // of the sessions that come of it
	RequireClaimedSource bool          // of the knocks that open it
	Created              time.Time
}

// How many sources of one device a grant lets in side by side.
const (
	UsualSources = 2
	MostSources  = 8
)

// Device is something of a user's that can knock at one site.
type Device struct {
	ID                   DeviceID
	User                 UserID
	Site                 SiteID
	Name                 string
	Secret               Secret // 32 bytes
	Fwknop               string // HMAC of its packets, as "sha256", if it is an fwknop client; "": it is none
	RequireClaimedSource bool
	AllowedFrom          Origins // of the sessions that it opens
	Revoked              bool
	LastKnock            time.Time    // zero: never
	LastSource           netip.Prefix // of the last knock
	Created              time.Time
}

// SessionState is where a session stands.
type SessionState string

// The states of a session.
const (
	Opening SessionState = "opening" // wanted, not yet applied by core
	Active  SessionState = "active"  // applied
	Ended   SessionState = "ended"
)

// EndReason tells why a session ended.
type EndReason string

// The reasons for the end of a session.
const (
	Expired  EndReason = "expired"
	Closed   EndReason = "closed"
	Replaced EndReason = "replaced" // its device knocked from a new address
	Revoked  EndReason = "revoked"
	Failed   EndReason = "failed" // core could not apply it
	Flushed  EndReason = "flushed"
)

// Session lets one source use one service, through one public port, until it expires.
type Session struct {
	ID         SessionID
	Site       SiteID
	User       UserID
	Service    ServiceID
	Device     DeviceID     // zero: opened by a person
	Invitation InvitationID // zero: opened by the user; else by a guest of theirs
	Source     netip.Prefix
	PublicPort uint16
	Reserved   bool // PublicPort may be one that the router serves itself
	Transport  Transport
	Target     netip.AddrPort // zero: of a service of kind Proxy, which core's proxy leads to
	State      SessionState
	Reason     EndReason // only when ended
	Detail     string    // of a failure, in words
	Opened     time.Time
	Expires    time.Time
	EndedAt    time.Time // zero while it lives
	EndedBy    UserID    // who took it away; zero: nobody, or somebody without an account
	Successor  SessionID // the session that takes its place once it expires; zero: none
	Revision   uint64    // of the site's desired state at its last change
	Traffic    Traffic
}

// Traffic counts what came through a session: Up from the source, Down to it. Packets are
// those of the network layer; bytes include their headers.
type Traffic struct {
	UpBytes     uint64 `json:"up_bytes"`
	UpPackets   uint64 `json:"up_packets"`
	DownBytes   uint64 `json:"down_bytes"`
	DownPackets uint64 `json:"down_packets"`
}

// Add returns the sums of both.
func (t Traffic) Add(o Traffic) Traffic {
	return Traffic{t.UpBytes + o.UpBytes, t.UpPackets + o.UpPackets, t.DownBytes + o.DownBytes, t.DownPackets + o.DownPackets}
}

// Token is a bearer token of the API; the value itself is kept only as a hash.
type Token struct {
	ID       TokenID
	User     UserID
	Name     string
	Scopes   []string
	Created  time.Time
	Expires  time.Time // zero: never
	LastUsed time.Time
}
