package apiclient

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Device is something that can knock.
type Device struct {
	ID                   string     `json:"id"`
	User                 string     `json:"user"`
	Site                 string     `json:"site"`
	Name                 string     `json:"name"`
	RequireClaimedSource bool       `json:"require_claimed_source"`
	AllowedFrom          []string   `json:"allowed_from,omitempty"`
	Fwknop               string     `json:"fwknop,omitempty"` // HMAC, if it is an fwknop client
	Revoked              bool       `json:"revoked"`
	LastKnock            *time.Time `json:"last_knock,omitempty"`
	LastSource           string     `json:"last_source,omitempty"`
	Created              time.Time  `json:"created"`
}

// Enrolled is a device with what it needs to knock, which is shown only once.
type Enrolled struct {
	Device
	Profile string        `json:"profile"`
	QR      string        `json:"qr"`                      // the profile, or an fwknop client's keys, as SVG
	Client  *FwknopClient `json:"fwknop_client,omitempty"` // instead of a profile
}

// FwknopClient is what an fwknop client needs.
type FwknopClient struct {
	Stanza  string          `json:"stanza"` // for ~/.fwknoprc
	Host    string          `json:"host"`
	Port    uint16          `json:"port"`
	Digest  string          `json:"hmac_digest"`
	Key     string          `json:"key_base64"`
	HMACKey string          `json:"hmac_key_base64"`
	Opens   []FwknopCommand `json:"commands"`
}

// FwknopCommand opens a service.
type FwknopCommand struct {
	Service string `json:"service"`
	Command string `json:"command"`
}

// NewDevice is what is told of a new device.
type NewDevice struct {
	Site                 string   `json:"site"`
	Name                 string   `json:"name"`
	RequireClaimedSource bool     `json:"require_claimed_source,omitempty"`
	AllowedFrom          []string `json:"allowed_from,omitempty"` // told by an admin
	Fwknop               string   `json:"fwknop,omitempty"`       // HMAC of an fwknop client; "": it is none
	User                 string   `json:"user,omitempty"`         // "": one's own
}

// DeviceQuery selects devices; "" selects all.
type DeviceQuery struct{ User, Site string }

// Devices lists devices: an admin all, others their own.
func (c *Client) Devices(ctx context.Context, q DeviceQuery) ([]Device, error) {
	return all[Device](ctx, c, "/devices", query("user", q.User, "site", q.Site))
}

// AddDevice makes a device.
func (c *Client) AddDevice(ctx context.Context, in NewDevice) (Enrolled, error) {
	return call[Enrolled](ctx, c, http.MethodPost, "/devices", in)
}

// DeviceChange changes what is not nil.
type DeviceChange struct {
	Name                 *string   `json:"name,omitempty"`
	RequireClaimedSource *bool     `json:"require_claimed_source,omitempty"`
	AllowedFrom          *[]string `json:"allowed_from,omitempty"` // told by an admin
}

// ChangeDevice changes a device.
func (c *Client) ChangeDevice(ctx context.Context, id string, in DeviceChange) (Device, error) {
	return call[Device](ctx, c, http.MethodPatch, "/devices/"+url.PathEscape(id), in)
}

// RotateDevice gives a device a new secret.
func (c *Client) RotateDevice(ctx context.Context, id string) (Enrolled, error) {
	return call[Enrolled](ctx, c, http.MethodPost, "/devices/"+url.PathEscape(id)+"/rotate", nil)
}

// RevokeDevice makes a device's knocks count no more.
func (c *Client) RevokeDevice(ctx context.Context, id string) (Device, error) {
	return call[Device](ctx, c, http.MethodPost, "/devices/"+url.PathEscape(id)+"/revoke", nil)
}

// RemoveDevice revokes a device and takes it off the lists.
func (c *Client) RemoveDevice(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "/devices/"+url.PathEscape(id), nil, nil, nil, nil)
}
