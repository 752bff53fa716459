package api

import (
	"context"
	"net/http"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/auth"
)

// Device never holds the secret.
type Device struct {
	ID                   string     `json:"id" format:"uuid"`
	User                 string     `json:"user" format:"uuid"`
	Site                 string     `json:"site" format:"uuid"`
	Name                 string     `json:"name"`
	RequireClaimedSource bool       `json:"require_claimed_source"`
	Fwknop               string     `json:"fwknop,omitempty" enum:"sha256,sha384,sha512,sha3_256,sha3_512" doc:"The HMAC of its packets, if it is an fwknop client"`
	AllowedFrom          []string   `json:"allowed_from,omitempty" doc:"Countries, autonomous systems and networks that sessions may be opened from, besides what other lists say. Absent: anywhere" example:"[\"ES\",\"AS3352\",\"198.51.100.0/24\"]"`
	Revoked              bool       `json:"revoked"`
	LastKnock            *time.Time `json:"last_knock,omitempty"`
	LastSource           string     `json:"last_source,omitempty"`
	Created              time.Time  `json:"created"`
}

// enrolled is a device with what it needs to knock.
type enrolled struct {
	Device
	Profile string `json:"profile" doc:"ownline://…: all that the device needs to knock, its secret included. Shown only now. Empty for an fwknop client" example:"ownline://home.example.org:54754/?v=1&site=…&device=…&key=…&name=home"`
	QR      string `json:"qr" doc:"The profile as a QR code, an SVG image; of an fwknop client its keys, as fwknop's apps scan them. Shown only now" example:"<svg viewBox=\"0 0 53 53\">…</svg>"`

	Client *fwknopClient `json:"fwknop_client,omitempty"`
}

// fwknopClient is what an fwknop client needs.
type fwknopClient struct {
	Stanza  string          `json:"stanza" doc:"For ~/.fwknoprc, its keys included. Shown only now" example:"[home]\nSPA_SERVER              home.example.org\n…"`
	Host    string          `json:"host"`
	Port    uint16          `json:"port"`
	Digest  string          `json:"hmac_digest"`
	Key     string          `json:"key_base64" doc:"Shown only now"`
	HMACKey string          `json:"hmac_key_base64" doc:"Shown only now"`
	Opens   []fwknopCommand `json:"commands" nullable:"false" doc:"One for each service that the device's user may use now"`
}

type fwknopCommand struct {
	Service string `json:"service"`
	Command string `json:"command" example:"fwknop -n home -A tcp/22022 -N ssh"`
}

func enrolledView(d ownline.Device, e access.Enrolment) (*output[enrolled], error) {
	v := enrolled{Device: deviceView(d)}
	var code string
	if c := e.Fwknop; c != nil {
		v.Client = &fwknopClient{Stanza: c.Stanza, Host: c.Host, Port: c.Port, Digest: c.Digest, Key: c.Key, HMACKey: c.HMACKey, Opens: []fwknopCommand{}}
		for _, o := range c.Opens {
			v.Client.Opens = append(v.Client.Opens, fwknopCommand(o))
		}
		code = c.Keys
	} else {
		v.Profile = e.URI()
		code = v.Profile
	}
	var err error
	if v.QR, err = qrSVG(code); err != nil {
		return nil, err
	}
	return show(v), nil
}

func deviceView(d ownline.Device) Device {
	v := Device{
		ID: d.ID.String(), User: d.User.String(), Site: d.Site.String(), Name: d.Name,
		RequireClaimedSource: d.RequireClaimedSource, Fwknop: d.Fwknop, Revoked: d.Revoked,
		LastKnock: optional(d.LastKnock), Created: d.Created.UTC(),
	}
	if d.AllowedFrom != "" {
		v.AllowedFrom = d.AllowedFrom.Words()
	}
	if d.LastSource.IsValid() {
		v.LastSource = d.LastSource.String()
	}
	return v
}

func (s *Server) devices() {
	const tag, one = "devices", "/devices/{id}"
	type query struct {
		ListInput
		User string `query:"user" format:"uuid"`
		Site string `query:"site" format:"uuid"`
	}
	register(s, operation{method: http.MethodGet, path: "/devices", id: "list-devices", fails: []int{http.StatusNotFound}, who: users, scope: []string{ownline.ScopeRead, ownline.ScopeDevices, ownline.ScopeAdmin}, tag: tag, summary: "List devices: an admin all, others their own"},
		func(ctx context.Context, id auth.Identity, in *query) (*output[list[Device]], error) {
			uid, err := parseID[ownline.User]("user", in.User)
			if err != nil {
				return nil, err
			}
			sid, err := parseID[ownline.Site]("site", in.Site)
			if err != nil {
				return nil, err
			}
			items, next, err := s.access.Devices(ctx, actor(id), access.DeviceQuery{Page: in.page(), User: uid, Site: sid})
			return listOf(items, next, deviceView), err
		})

	type newDevice struct {
		Site                 string   `json:"site" format:"uuid"`
		Name                 string   `json:"name" maxLength:"64"`
		RequireClaimedSource bool     `json:"require_claimed_source,omitempty" doc:"Knocks must name the address that they come from"`
		Fwknop               string   `json:"fwknop,omitempty" enum:"sha256,sha384,sha512,sha3_256,sha3_512" doc:"It is an fwknop client, whose packets have this HMAC; absent: it knocks as Ownline's own do"`
		AllowedFrom          []string `json:"allowed_from,omitempty" maxItems:"200" doc:"Countries, autonomous systems and networks that sessions may be opened from, besides what other lists say. Told by an admin; none: anywhere" example:"[\"ES\",\"AS3352\",\"198.51.100.0/24\"]"`
		User                 string   `json:"user,omitempty" format:"uuid" doc:"Whose it is, told by an admin; absent: one's own"`
	}
	register(s, operation{method: http.MethodPost, path: "/devices", id: "add-device", maxBody: listBody, fails: []int{http.StatusConflict}, who: users, scope: []string{ownline.ScopeDevices, ownline.ScopeAdmin}, tag: tag, status: http.StatusCreated, summary: "Make a device, and show this once what it needs to knock"},
		func(ctx context.Context, id auth.Identity, in *body[newDevice]) (*output[enrolled], error) {
			n := access.NewDevice{Name: in.Body.Name, RequireClaimedSource: in.Body.RequireClaimedSource, Fwknop: in.Body.Fwknop, AllowedFrom: in.Body.AllowedFrom}
			var err error
			if n.Site, err = parseID[ownline.Site]("site", in.Body.Site); err != nil {
				return nil, err
			}
			if n.User, err = parseID[ownline.User]("user", in.Body.User); err != nil {
				return nil, err
			}
			d, p, err := s.access.AddDevice(ctx, actor(id), n)
			if err != nil {
				return nil, err
			}
			return enrolledView(d, p)
		})

	register(s, operation{method: http.MethodGet, path: one, id: "get-device", who: owner, scope: []string{ownline.ScopeRead, ownline.ScopeDevices, ownline.ScopeAdmin}, tag: tag, summary: "Show a device"},
		func(ctx context.Context, id auth.Identity, in *ByID) (*output[Device], error) {
			did, err := parseID[ownline.Device]("id", in.ID)
			if err != nil {
				return nil, err
			}
			d, err := s.access.Device(ctx, actor(id), did)
			return show(deviceView(d)), err
		})

	type deviceChange struct {
		Name                 *string   `json:"name,omitempty" maxLength:"64" example:"Ana's phone"`
		RequireClaimedSource *bool     `json:"require_claimed_source,omitempty" doc:"Knocks must name the address that they come from"`
		AllowedFrom          *[]string `json:"allowed_from,omitempty" maxItems:"200" doc:"Countries, autonomous systems and networks that sessions may be opened from, besides what other lists say. Told by an admin; none: anywhere. Ends the sessions of those who are elsewhere" example:"[\"ES\",\"AS3352\",\"198.51.100.0/24\"]"`
	}
	register(s, operation{method: http.MethodPatch, path: one, id: "change-device", maxBody: listBody, fails: []int{http.StatusConflict}, who: owner, scope: []string{ownline.ScopeDevices, ownline.ScopeAdmin}, tag: tag, summary: "Change a device"},
		func(ctx context.Context, id auth.Identity, in *bodyByID[deviceChange]) (*output[Device], error) {
			did, err := parseID[ownline.Device]("id", in.ID)
			if err != nil {
				return nil, err
			}
			d, err := s.access.ChangeDevice(ctx, actor(id), did, access.DeviceChange{Name: in.Body.Name, RequireClaimedSource: in.Body.RequireClaimedSource, AllowedFrom: in.Body.AllowedFrom})
			return show(deviceView(d)), err
		})

	register(s, operation{method: http.MethodPost, path: one + "/revoke", id: "revoke-device", who: owner, scope: []string{ownline.ScopeDevices, ownline.ScopeAdmin}, tag: tag, summary: "Make a device's knocks count no more, and end its sessions"},
		func(ctx context.Context, id auth.Identity, in *ByID) (*output[Device], error) {
			did, err := parseID[ownline.Device]("id", in.ID)
			if err != nil {
				return nil, err
			}
			d, err := s.access.RevokeDevice(ctx, actor(id), did)
			return show(deviceView(d)), err
		})

	register(s, operation{method: http.MethodPost, path: one + "/rotate", id: "rotate-device", fails: []int{http.StatusConflict}, who: owner, scope: []string{ownline.ScopeDevices, ownline.ScopeAdmin}, tag: tag, summary: "Give a device a new secret, and show this once what it needs to knock"},
		func(ctx context.Context, id auth.Identity, in *ByID) (*output[enrolled], error) {
			did, err := parseID[ownline.Device]("id", in.ID)
			if err != nil {
				return nil, err
			}
			d, p, err := s.access.RotateDevice(ctx, actor(id), did)
			if err != nil {
				return nil, err
			}
			return enrolledView(d, p)
		})

	register(s, operation{method: http.MethodDelete, path: one, id: "remove-device", who: owner, scope: []string{ownline.ScopeDevices, ownline.ScopeAdmin}, tag: tag, status: http.StatusNoContent, summary: "Revoke a device and take it off the lists"},
		func(ctx context.Context, id auth.Identity, in *ByID) (*struct{}, error) {
			did, err := parseID[ownline.Device]("id", in.ID)
			if err != nil {
				return nil, err
			}
			return nil, s.access.RemoveDevice(ctx, actor(id), did)
		})
}
