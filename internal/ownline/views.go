package ownline

import (
	"net/netip"
	"time"
)

// SessionInfo is a session with the names of what it concerns, as people are shown it.
type SessionInfo struct {
	Session
	SiteName    string
	SiteHost    string
	UserName    string
	ServiceName string
	ServiceKind ServiceKind
	ServiceIcon string
	DeviceName  string // "" for a session that a person opened
	EndedByName string // of EndedBy
	SiteProxy   SiteProxy
}

// URL returns where the service is, when it is of kind Proxy; else "".
func (s SessionInfo) URL() string {
	return Service{Name: s.ServiceName, Kind: s.ServiceKind, SiteProxy: s.SiteProxy}.URL()
}

// Page asks for a part of a list.
type Page struct {
	Limit  int    // 1 to 200; 0: 50
	Cursor string // what the page before returned; "": the first page
}

// DefaultLimit and MaxLimit bound a Page.
const (
	DefaultLimit = 50
	MaxLimit     = 200
)

// TokenInfo is a token with the name of its user.
type TokenInfo struct {
	Token
	UserName string
}

// UserQuery selects users; zero fields select all.
type UserQuery struct {
	Page
	Role     Role
	Disabled *bool
	Named    string // a part of the name
}

// GrantQuery selects grants; zero fields select all.
type GrantQuery struct {
	Page
	User      UserID
	Service   ServiceID
	Site      SiteID // of the service
	Automatic *bool
}

// SessionQuery selects sessions; zero fields select all.
type SessionQuery struct {
	Page
	Live       bool // only those that are opening or active
	Ended      bool // only those that are over
	State      SessionState
	Reason     EndReason // of the end
	User       UserID
	Site       SiteID
	Service    ServiceID
	Device     DeviceID
	Invitation InvitationID
	Sources    []netip.Prefix // any of these
	From       time.Time      // opened then or later
	Until      time.Time      // opened before
}

// LiveCount is how many sessions of a site are in one state.
type LiveCount struct {
	Site   string
	State  SessionState
	Number int
}

// LinkHealth tells how web's link to a site's core is. It is what the running web knows;
// it is not kept.
type LinkHealth struct {
	Connected   bool      // events arrive and the whole state was applied
	LastContact time.Time // of anything that core said; zero: never since web started
	Applied     uint64    // every change up to this revision is applied by core
	Wanted      uint64    // the newest revision of the desired state
	CoreVersion string    // "" before the first contact
	Firewall    string    // what is wrong with the router's firewall; "": nothing
	Lacks       string    // what of the filter of knocks the router's kernel does not take, which core works without; "": nothing
	Clock       string    // what is wrong with the router's clock; "": nothing
	Proxy       string    // what is wrong with the router's reverse proxy; "": nothing
	Root        string    // certificate in PEM of the proxy's own authority; "": it has none
	Expires     time.Time // of the first of the proxy's certificates; zero: it has none yet
	Error       string    // why it is not connected; "": nothing is known to be wrong
}

// SiteInfo is a site with how its core is reached.
type SiteInfo struct {
	Site
	Health LinkHealth
}

// AuditQuery selects lines of the audit log; zero fields select all.
type AuditQuery struct {
	Page
	Actor   UserID
	By      string
	Action  string // whole, as in "session.open", or what comes before a dot: "session"
	Subject string
	Site    SiteID
	From    time.Time // then or later
	Until   time.Time // before
}

// AuditLine is a line of the audit log with its number and the names of what it concerns.
type AuditLine struct {
	AuditEntry
	Number    int64
	ActorName string
	SiteName  string
}

// AuditEntry is one line of the audit log, which is only ever added to.
type AuditEntry struct {
	At      time.Time
	Actor   UserID     // zero: the system itself, or a stranger
	By      string     // how: "login", "token", "knock", "command", "system", "invitation"
	Client  netip.Addr // where the request came from; zero: from this machine
	Action  string     // as in "session.open"
	Subject string     // what it was done to: an ID or a name
	Site    SiteID     // zero: none
	Detail  string     // for people; holds no secret
}
