package ownline

import (
	"net/netip"
	"time"
)

// NewsKind tells what has happened.
type NewsKind string

// The kinds of news.
const (
	SessionOpened      NewsKind = "session.opened" // its packets get through; renewing it is no news
	SessionEnded       NewsKind = "session.ended"  // but not replaced: its device has only moved
	SessionFailed      NewsKind = "session.failed" // core could not apply it
	LoginSucceeded     NewsKind = "login.ok"
	LoginFailed        NewsKind = "login.failed"
	LoginThrottled     NewsKind = "login.throttled"
	DeviceEnrolled     NewsKind = "device.enrolled" // or got a new key
	DeviceRevoked      NewsKind = "device.revoked"
	DeviceNewCountry   NewsKind = "device.new_country" // a knock from where this device never knocked before
	DeviceNewNetwork   NewsKind = "device.new_network"
	InvitationCreated  NewsKind = "invitation.created"
	InvitationRedeemed NewsKind = "invitation.redeemed"
	SiteDown           NewsKind = "site.down"
	SiteUp             NewsKind = "site.up"
)

// DeviceKnocked says that a knock has counted. Nobody is told of it; whoever reads the news
// finds out whether the place is new.
const DeviceKnocked NewsKind = "device.knocked"

// NewsKinds lists the kinds that people can be told of.
func NewsKinds() []NewsKind {
	return []NewsKind{
		SessionOpened, SessionEnded, SessionFailed, LoginSucceeded, LoginFailed, LoginThrottled,
		DeviceEnrolled, DeviceRevoked, DeviceNewCountry, DeviceNewNetwork,
		InvitationCreated, InvitationRedeemed, SiteDown, SiteUp,
	}
}

// News is something that has happened and that people may want to be told. It holds names,
// as people know them; those that do not matter are empty. It holds no secret.
type News struct {
	Kind     NewsKind
	At       time.Time
	User     string       // whose session, device, login or invitation it is
	By       string       // who did it, when that is somebody else
	Service  string       // of a session or an invitation
	Site     string       // of a session, a device, an invitation, or the site itself
	Device   string       // that knocked or was changed
	DeviceID DeviceID     // of a device
	Source   netip.Prefix // that is let in, or where a knock or a request came from
	Until    time.Time    // when it ends by itself
	Detail   string       // why it ended or failed; how somebody signed in
	Session  SessionID    // of a session
	Count    int          // of several that are alike; 0 is 1
}

// Place is where a knock comes from, roughly.
type Place struct {
	Kind PlaceKind
	Name string // "ES", "AS64500", "198.51.0.0/16"
}

// PlaceKind tells by what a place is known.
type PlaceKind string

// The kinds of place.
const (
	PlaceCountry PlaceKind = "country"
	PlaceSystem  PlaceKind = "system" // an autonomous system: a provider's network
	PlacePrefix  PlaceKind = "prefix" // where systems are not known
)

// ChannelInfo tells how a channel for notifications is. It is what the running web knows;
// it is not kept. It holds nothing of the channel's address.
type ChannelInfo struct {
	Name        string
	Service     string // the kind of service: "telegram", "smtp"
	Events      []NewsKind
	Waiting     int    // news that is not told yet
	Sent        uint64 // messages
	Lost        uint64 // news that was given up
	LastSuccess time.Time
	LastFailure time.Time
	Error       string // of the last try; "": it worked, or there was none
	Failing     bool   // the last message was given up
}
