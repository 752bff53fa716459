package udpknock

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/knock/fwknop"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// maxFwknopSkew is the most that web takes.
const maxFwknopSkew = 10 * time.Minute

// fwknopDevice is used by the goroutine alone that reads the port.
type fwknopDevice struct {
	id   ownline.DeviceID
	mac  *fwknop.MAC
	mark mark
}

// CheckFwknop refuses devices that SetDevices would refuse.
func CheckFwknop(devices []link.FwknopDevice) error {
	_, err := fwknopMACs(devices)
	return err
}

func fwknopMACs(devices []link.FwknopDevice) ([]fwknopDevice, error) {
	out := make([]fwknopDevice, 0, len(devices))
	for _, dev := range devices {
		mac, err := fwknop.NewMAC(dev.Digest, dev.Key)
		if err != nil {
			return nil, ownline.Invalid("fwknop_devices", fmt.Sprintf("%s: %v", dev.ID, err))
		}
		out = append(out, fwknopDevice{dev.ID, mac, markOf(dev.ID, dev.Key)})
	}
	return out, nil
}

// FwknopPort returns the UDP port of fwknop's clients; 0: they are not heard.
func (d *Door) FwknopPort() uint16 {
	if d.fwknop == nil {
		return 0
	}
	return portOf(d.fwknop)
}

// takeFwknop judges a datagram at the port of fwknop's clients as far as core can, and returns what
// became of it, as take does.
func (d *Door) takeFwknop(b []byte, from netip.AddrPort) reason {
	seen := seenFrom(from)
	why := d.judgeFwknop(b, &seen)
	if why != accepted {
		d.drop(why, seen)
	}
	return why
}

// judgeFwknop tells whose a packet is, by the HMAC of every device in turn, for nothing in it
// tells. Web reads it. Until then the time in it is unknown, so it is remembered by when it came,
// for as long as its time could count.
func (d *Door) judgeFwknop(b []byte, seen *Seen) reason {
	if !fwknop.Shaped(b) {
		return badShape
	}
	dev, nonce, ok := d.fwknopSender(b)
	if !ok {
		return badMAC
	}
	seen.Device, seen.key = dev.id, dev.mark
	now, _ := d.clock.Now()
	if now.IsZero() {
		return noClock
	}
	inside, ok := d.place(seen.Source)
	if !ok {
		return badSource
	}
	skew := min(2*d.cfg.Skew, maxFwknopSkew) // of a time in whole seconds, and without an answer that tells how far it is off
	id, source := dev.id, seen.Source
	return d.deliver(*seen, nonce, time.Now(), skew, pending{}, func(seq uint64) bool {
		return d.cfg.DeliverFwknop(link.Fwknop{Seq: seq, Device: id, Packet: string(b), Now: now, Source: source, Inside: inside, Skew: skew})
	})
}

func (d *Door) fwknopSender(b []byte) (dev fwknopDevice, n knock.Nonce, ok bool) {
	for _, dev := range *d.fwknopDevices.Load() {
		if n, ok = dev.mac.Verify(b); ok {
			return dev, n, true
		}
	}
	return dev, n, false
}
