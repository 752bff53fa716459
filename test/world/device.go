package world

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
)

// Device is an enrolled device: it seals knocks and sends them from hosts of the bed.
type Device struct {
	ID      string
	Profile string // the URI
	keys    *knock.Keys
}

// NewDevice enrols a device of the admin, unless more says otherwise.
func (w *World) NewDevice(ctx context.Context, name string, more Map) (*Device, error) {
	in := Map{"site": w.Site, "name": name}
	maps.Copy(in, more)
	var got struct{ ID, Profile string }
	if err := w.API.Call(ctx, "POST", "/devices", in, &got); err != nil {
		return nil, err
	}
	p, err := ownline.ParseProfile(got.Profile)
	if err != nil {
		return nil, err
	}
	keys, err := knock.DeriveKeys(p.Key, p.Site)
	if err != nil {
		return nil, err
	}
	return &Device{ID: got.ID, Profile: got.Profile, keys: keys}, nil
}

// Knock makes a fresh knock that wants an answer.
func (d *Device) Knock() knock.Knock {
	n := knock.Knock{Time: time.Now(), AnswerWanted: true}
	rand.Read(n.Nonce[:])
	return n
}

// Seal makes the packet of a knock.
func (d *Device) Seal(n knock.Knock) knock.Packet { return d.keys.Seal(n) }

// ErrNoAnswer says that nothing came back in time.
var ErrNoAnswer = errors.New("no answer")

// Send knocks from a host and waits for the answer.
func (d *Device) Send(h *bed.Host, to netip.AddrPort, n knock.Knock, wait time.Duration) (knock.Answer, error) {
	conn, err := h.Dial("udp", to, wait)
	if err != nil {
		return knock.Answer{}, err
	}
	defer conn.Close()
	return d.SendOn(conn, n, wait)
}

// SendOn is Send over a socket that is there.
func (d *Device) SendOn(conn net.Conn, n knock.Knock, wait time.Duration) (knock.Answer, error) {
	packet := d.keys.Seal(n)
	if _, err := conn.Write(packet[:]); err != nil {
		return knock.Answer{}, err
	}
	deadline := time.Now().Add(wait)
	if err := conn.SetReadDeadline(deadline); err != nil {
		return knock.Answer{}, err
	}
	var buf knock.Packet
	for {
		size, err := conn.Read(buf[:])
		if err != nil {
			return knock.Answer{}, fmt.Errorf("%w: %w", ErrNoAnswer, err)
		}
		if size != knock.Size {
			continue
		}
		if a, err := d.keys.OpenAnswer(&buf, n.Nonce); err == nil {
			return a, nil
		}
	}
}
