package access

import (
	"context"
	"errors"
	"net/netip"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/knock/fwknop"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/policy"
)

// fwknopDevices are what the site's core tells packets of fwknop clients by: none, when it does
// not hear them.
func fwknopDevices(tx Tx, s ownline.Site) (out []link.FwknopDevice, err error) {
	if s.FwknopPort == 0 {
		return nil, nil
	}
	ds, err := tx.FwknopDevices(s.ID)
	for _, d := range ds {
		k, err := fwknop.DeriveKeys(d.Fwknop, d.Secret, s.ID)
		if err != nil {
			return nil, err
		}
		out = append(out, link.FwknopDevice{ID: d.ID, Digest: k.Digest, Key: k.HMAC})
	}
	return out, err
}

// KnockFwknop decides on a packet of an fwknop client as Knock does on a knock. Core has seen that
// it is the device's; here it is verified whole, and read.
func (a *Access) KnockFwknop(ctx context.Context, site ownline.SiteID, p link.Fwknop) (v *link.Verdict, later []link.Session, err error) {
	if len(p.Packet) > fwknop.MaxSize || p.Now.IsZero() || p.Skew <= 0 || p.Skew > maxSkew {
		return nil, nil, ownline.Invalid("fwknop", "is not as cores send it")
	}
	p.Source = p.Source.Unmap()
	return a.decide(ctx, p.Device, p.Source, func(c *change, d *decision) error {
		r, err := readFwknop(c, site, p)
		d.site = site
		if errors.Is(err, knock.ErrRejected) {
			d.detail = err.Error()
			d.device = p.Device // core has seen that it is this one's
			switch {
			case errors.Is(err, errRemoved):
				d.device, d.refused = ownline.DeviceID{}, refusedUnknown
			case errors.Is(err, errNoFwknop):
				d.refused = refusedRevoked
			case errors.Is(err, errTime):
				d.refused = refusedTime
			default:
				d.refused, d.Ignored = refusedShape, link.IgnoredMessage
			}
			return errSilent
		} else if err != nil {
			return err
		}
		k := link.Knocked{
			Device: p.Device, Nonce: r.Nonce[:], Made: r.Time, Source: p.Source, Claimed: r.Source,
			Duration: r.Duration, Inside: p.Inside, Skew: p.Skew,
		}
		requests := make([]policy.Request, len(r.Ports))
		for i, port := range r.Ports {
			requests[i] = policy.Request{Transport: port.Transport, Port: port.Number}
			if addr, err := netip.ParseAddr(r.Target.Host); err == nil {
				requests[i].Target = netip.AddrPortFrom(addr, r.Target.Port)
			} else {
				requests[i].Name = r.Target.Host
			}
		}
		return a.knock(c, site, k, func(offers []policy.Offer, w wish) []policy.Pick {
			source, _ := ownline.SourceOf(p.Source, w.facts.Site.IPv6Prefix) // zero: no session has it
			live := make(map[ownline.ServiceID]uint16)
			for _, e := range w.live {
				if e.Source == source {
					live[e.Service] = e.PublicPort
				}
			}
			return policy.Requested(requests, w.ask, w.facts, live, offers, w.now)
		}, d)
	})
}

const (
	errRemoved  = refusal("its device was removed")
	errNoFwknop = refusal("its device is none that is taken")
	errTime     = refusal("its time is too far from now: the client's clock is wrong, or the packet is old")
)

// refusal is an ErrRejected with its reason.
type refusal string

func (r refusal) Error() string { return "fwknop packet rejected: " + string(r) }

// Unwrap returns the kind.
func (r refusal) Unwrap() error { return knock.ErrRejected }

// readFwknop opens a packet by the keys of its device, if it is fresh.
func readFwknop(tx Tx, site ownline.SiteID, p link.Fwknop) (fwknop.Request, error) {
	d, err := tx.Device(p.Device)
	switch {
	case errors.Is(err, ownline.ErrNotFound):
		return fwknop.Request{}, errRemoved
	case err != nil:
		return fwknop.Request{}, err
	case d.Fwknop == "" || d.Site != site:
		return fwknop.Request{}, errNoFwknop
	}
	secret, err := tx.DeviceSecret(d.ID)
	if err != nil {
		return fwknop.Request{}, err
	}
	keys, err := fwknop.DeriveKeys(d.Fwknop, secret, site)
	if err != nil {
		return fwknop.Request{}, err
	}
	r, err := keys.Open([]byte(p.Packet))
	if err == nil && !knock.Fresh(r.Time, p.Now, p.Skew) {
		err = errTime
	}
	return r, err
}
