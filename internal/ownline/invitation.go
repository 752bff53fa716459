package ownline

import "time"

// InvitationState is where an invitation stands.
type InvitationState string

// The states of an invitation. When several fit, it is in the first.
const (
	InvitationRevoked InvitationState = "revoked"
	InvitationExpired InvitationState = "expired" // redeemed no more; sessions that it opened go on
	InvitationUsed    InvitationState = "used"    // every use was made
	InvitationValid   InvitationState = "valid"
)

// Invitation is a link with which somebody without an account opens sessions to one service,
// in the name of the user who made it. The secret in the link is kept by nobody but who holds
// the link.
type Invitation struct {
	ID        InvitationID
	User      UserID // who invites, and whose grant it hangs on
	Service   ServiceID
	Message   string        // to the guest; may be empty
	For       time.Duration // of each session
	Uses      int           // how many sessions it opens
	Used      int           // how many it has opened
	Countries []string      // ISO 3166-1 alpha-2; guests come from one of them; empty: from anywhere
	Created   time.Time
	Expires   time.Time // when it can be redeemed no more
	Revoked   time.Time // zero: it is not
}

// State returns where the invitation stands at now.
func (i Invitation) State(now time.Time) InvitationState {
	switch {
	case !i.Revoked.IsZero():
		return InvitationRevoked
	case !i.Expires.After(now):
		return InvitationExpired
	case i.Used >= i.Uses:
		return InvitationUsed
	}
	return InvitationValid
}

// InvitationInfo is an invitation with the names of what it concerns.
type InvitationInfo struct {
	Invitation
	UserName         string
	ServiceName      string
	ServiceKind      ServiceKind
	ServiceTransport Transport
	ServiceIcon      string
	Target4, Target6 bool // families of the service's targets
	Site             SiteID
	SiteName         string
	SiteHost         string
	SiteProxy        SiteProxy
}

// URL returns where the service is, when it is of kind Proxy; else "".
func (i InvitationInfo) URL() string {
	return Service{Name: i.ServiceName, Kind: i.ServiceKind, SiteProxy: i.SiteProxy}.URL()
}

// Families lists those of addresses that a session can be opened for: 4, 6.
func (i InvitationInfo) Families() []int {
	out := []int{}
	if i.Target4 || i.ServiceKind == Proxy {
		out = append(out, 4)
	}
	if i.Target6 || i.ServiceKind == Proxy {
		out = append(out, 6)
	}
	return out
}

// InvitationEnd is when the last invitation of a user to a service ends.
type InvitationEnd struct {
	User    UserID
	Service ServiceID
	Last    time.Time
}

// InvitationQuery selects invitations; zero fields select all.
type InvitationQuery struct {
	Page
	State   InvitationState // at Now
	Now     time.Time
	User    UserID
	Service ServiceID
	Site    SiteID
}
