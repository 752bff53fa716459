package transfer

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/ownline"
)

// version is that of the file's form.
const version = 1

// Document is the file. Things refer to each other by name, a service as SITE/NAME. What a
// section does not hold is its default; a section that is nil says nothing at all.
type Document struct {
	Version  int       `key:"version"`
	LinkKey  string    `key:"link_key"` // secret
	Sites    []Site    `key:"sites"`
	Users    []User    `key:"users"`
	Services []Service `key:"services"`
	Grants   []Grant   `key:"grants"`
	Devices  []Device  `key:"devices"`

	// What lets people in: only with secrets.
	Links         []Link         `key:"links"`
	SecondFactors []SecondFactor `key:"second_factors"`
	Passkeys      []Passkey      `key:"passkeys"`
	Tokens        []Token        `key:"tokens"`
	Invitations   []Invitation   `key:"invitations"`

	History []Session `key:"history"`
}

// Site is a site. What pairing and core tell is of use only for one that is new here.
type Site struct {
	Name          string         `key:"name"`
	ID            ownline.SiteID `key:"id"`
	Host          string         `key:"host"`
	IPv6Prefix    int            `key:"ipv6_prefix"`
	AllowedFrom   []string       `key:"allowed_from"`
	Link          string         `key:"link"`
	Pin           string         `key:"pin"`
	KnockPort     uint16         `key:"knock_port"`
	LocalNetworks []netip.Prefix `key:"local_networks"`
	ReservedPorts []uint16       `key:"reserved_ports"`
	ProxyDriver   string         `key:"proxy_driver"`
	ProxyDomain   string         `key:"proxy_domain"`
	ProxyPort     uint16         `key:"proxy_port"`
	Created       time.Time      `key:"created"`
}

// User is a user.
type User struct {
	Name         string         `key:"name"`
	ID           ownline.UserID `key:"id"`
	Role         string         `key:"role"`
	Disabled     bool           `key:"disabled"`
	PasswordHash string         `key:"password_hash"` // secret
	MustChange   bool           `key:"must_change"`   // counts with password_hash only
	Created      time.Time      `key:"created"`
}

// Service is a service.
type Service struct {
	Name      string            `key:"name"`
	Site      string            `key:"site"`
	ID        ownline.ServiceID `key:"id"`
	Kind      string            `key:"kind"`
	Transport string            `key:"transport"`
	Target    netip.AddrPort    `key:"target"`
	Target6   netip.AddrPort    `key:"target6"`
	Options   ProxyOptions      `key:"options"`
	Icon      string            `key:"icon"`
	Picture   string            `key:"picture"` // base64, in place of icon
	Created   time.Time         `key:"created"`
}

// ProxyOptions are how the reverse proxy serves a service: ownline.ProxyOptions.
type ProxyOptions struct {
	Scheme       string   `key:"scheme"`
	PathPrefix   string   `key:"path_prefix"`
	Headers      []Header `key:"headers"`
	CA           string   `key:"ca"`
	Pin          string   `key:"pin"`
	ServerName   string   `key:"server_name"`
	RequireLogin bool     `key:"require_login"`
	Template     string   `key:"template"`
}

// Header is one that the proxy sets on every request.
type Header struct {
	Name  string `key:"name"`
	Value string `key:"value"`
}

func optionsOf(p ownline.ProxyOptions) ProxyOptions {
	o := ProxyOptions{
		Scheme: p.Scheme, PathPrefix: p.PathPrefix, CA: p.CA, Pin: p.Pin, ServerName: p.ServerName,
		RequireLogin: p.RequireLogin, Template: p.Template,
	}
	for _, name := range slices.Sorted(maps.Keys(p.Headers)) {
		o.Headers = append(o.Headers, Header{name, p.Headers[name]})
	}
	return o
}

// proxy is the way back. A header that is given twice keeps its last value.
func (o ProxyOptions) proxy() ownline.ProxyOptions {
	p := ownline.ProxyOptions{
		Scheme: o.Scheme, PathPrefix: o.PathPrefix, CA: o.CA, Pin: o.Pin, ServerName: o.ServerName,
		RequireLogin: o.RequireLogin, Template: o.Template,
	}
	for _, h := range o.Headers {
		if p.Headers == nil {
			p.Headers = make(map[string]string)
		}
		p.Headers[h.Name] = h.Value
	}
	return p
}

// Grant is a grant.
type Grant struct {
	User                 string          `key:"user"`
	Service              string          `key:"service"`
	ID                   ownline.GrantID `key:"id"`
	Automatic            bool            `key:"automatic"`
	PublicPort           uint16          `key:"public_port"`
	AllowReserved        bool            `key:"allow_reserved"`
	MaxDuration          time.Duration   `key:"max_duration"`
	MaxSources           int             `key:"max_sources"`
	RequireClaimedSource bool            `key:"require_claimed_source"`
	AllowedFrom          []string        `key:"allowed_from"`
	Created              time.Time       `key:"created"`
}

// Device is a device.
type Device struct {
	Name                 string           `key:"name"`
	User                 string           `key:"user"`
	Site                 string           `key:"site"`
	ID                   ownline.DeviceID `key:"id"`
	RequireClaimedSource bool             `key:"require_claimed_source"`
	AllowedFrom          []string         `key:"allowed_from"`
	Fwknop               string           `key:"fwknop"` // HMAC of an fwknop client's packets
	Revoked              bool             `key:"revoked"`
	Secret               string           `key:"secret"` // secret; base64
	Created              time.Time        `key:"created"`
}

// Session is a session that is over, with the names that things had.
type Session struct {
	ID        ownline.SessionID `key:"id"`
	User      string            `key:"user"`
	UserID    ownline.UserID    `key:"user_id"`
	Service   string            `key:"service"`
	ServiceID ownline.ServiceID `key:"service_id"`
	Kind      string            `key:"kind"`
	Site      string            `key:"site"`
	SiteID    ownline.SiteID    `key:"site_id"`
	Host      string            `key:"host"`
	Device    string            `key:"device"`
	DeviceID  ownline.DeviceID  `key:"device_id"`

	Invitation ownline.InvitationID `key:"invitation"` // left out where it is not known

	Source      netip.Prefix   `key:"source"`
	PublicPort  uint16         `key:"public_port"`
	Transport   string         `key:"transport"`
	Target      netip.AddrPort `key:"target"`
	Reason      string         `key:"reason"`
	Detail      string         `key:"detail"`
	Opened      time.Time      `key:"opened"`
	Expires     time.Time      `key:"expires"`
	Ended       time.Time      `key:"ended"`
	UpBytes     uint64         `key:"up_bytes"`
	UpPackets   uint64         `key:"up_packets"`
	DownBytes   uint64         `key:"down_bytes"`
	DownPackets uint64         `key:"down_packets"`
}

// Link is who at an identity provider is which user.
type Link struct {
	User    string    `key:"user"`
	Issuer  string    `key:"issuer"`
	Subject string    `key:"subject"`
	Created time.Time `key:"created"`
}

// SecondFactor is what makes a user's codes, with the hashes of their recovery codes.
type SecondFactor struct {
	User          string    `key:"user"`
	Secret        string    `key:"secret"`    // secret; base64
	LastStep      uint64    `key:"last_step"` // codes of this step of time or before it count no more
	RecoveryCodes []string  `key:"recovery_codes"`
	Created       time.Time `key:"created"`
}

// Passkey is a passkey.
type Passkey struct {
	Name       string            `key:"name"`
	User       string            `key:"user"`
	ID         ownline.PasskeyID `key:"id"`
	Credential string            `key:"credential"` // base64
	Data       string            `key:"data"`       // base64
	Cloned     bool              `key:"cloned"`
	Created    time.Time         `key:"created"`
	LastUsed   time.Time         `key:"last_used"`
}

// Token is a token; the hash in it does not tell its value.
type Token struct {
	Name     string          `key:"name"`
	User     string          `key:"user"`
	ID       ownline.TokenID `key:"id"`
	Scopes   []string        `key:"scopes"`
	Hash     string          `key:"hash"` // base64
	Created  time.Time       `key:"created"`
	Expires  time.Time       `key:"expires"`
	LastUsed time.Time       `key:"last_used"`
}

// Invitation is an invitation.
type Invitation struct {
	User      string               `key:"user"`
	Service   string               `key:"service"`
	ID        ownline.InvitationID `key:"id"`
	Message   string               `key:"message"`
	Duration  time.Duration        `key:"duration"`
	Uses      int                  `key:"uses"`
	Used      int                  `key:"used"`
	Countries []string             `key:"countries"`
	Hash      string               `key:"hash"`    // base64
	Unseals   string               `key:"unseals"` // secret; base64
	Created   time.Time            `key:"created"`
	Expires   time.Time            `key:"expires"`
	Revoked   time.Time            `key:"revoked"`
}

// File is a document with the places of what it says.
type File struct {
	Document
	place func(key string) string
}

// Parse reads a document from YAML, strictly. The error lists every mistake, with line and
// column.
func Parse(name string, content []byte) (File, error) {
	f := File{Document: Document{Version: version}}
	var err error
	if f.place, err = config.Decode(name, content, &f.Document); err != nil {
		return File{}, err
	}
	if f.Version != version {
		return File{}, f.wrong("version", "is not one that this program knows; it knows 1")
	}
	return f, nil
}
