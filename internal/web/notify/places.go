package notify

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

const (
	// knocksWaiting bounds how many knocks wait to have their place looked at.
	knocksWaiting = 256
	// placesKnown bounds the devices whose places are kept in memory, so that most knocks
	// cost the database nothing.
	placesKnown = 4096
)

// knocked takes a knock that has counted.
func (n *Notify) knocked(k ownline.News) {
	select {
	case n.knocks <- k:
	default:
		// So many knocks at once that one goes unseen; its device will knock again.
		n.log.Debug("too many knocks at once to look where each comes from", logging.Device, k.DeviceID)
	}
}

// watchPlaces reports knocks from where a device has never knocked before.
func (n *Notify) watchPlaces(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case k := <-n.knocks:
			if err := n.place(ctx, k); err != nil && ctx.Err() == nil {
				n.log.Warn("where a knock comes from can't be remembered", logging.Device, k.DeviceID, logging.Err, err)
			}
		}
	}
}

func (n *Notify) place(ctx context.Context, k ownline.News) error {
	known := n.seen[k.DeviceID]
	var unsure []ownline.Place
	for _, p := range n.placesOf(k.Source.Addr()) {
		if !known[p] {
			unsure = append(unsure, p)
		}
	}
	if len(unsure) == 0 {
		return nil
	}
	fresh, err := n.places.SeePlaces(ctx, k.DeviceID, unsure, time.Now())
	if err != nil {
		return err
	}
	if known == nil {
		if len(n.seen) >= placesKnown {
			clear(n.seen)
		}
		known = make(map[ownline.Place]bool)
		n.seen[k.DeviceID] = known
	}
	for _, p := range unsure {
		known[p] = true
	}
	if len(fresh) == 0 {
		return nil
	}
	// A new country is a new network, too; the country comes first.
	k.Kind = ownline.DeviceNewNetwork
	if fresh[0].Kind == ownline.PlaceCountry {
		k.Kind = ownline.DeviceNewCountry
	}
	n.Report(k)
	return nil
}

// placesOf tells where an address is: the country, if it is known, and the network.
func (n *Notify) placesOf(a netip.Addr) []ownline.Place {
	var out []ownline.Place
	if country, ok := n.geo.Country(a); ok {
		out = append(out, ownline.Place{Kind: ownline.PlaceCountry, Name: country})
	}
	bits := 16
	if a.Is6() {
		bits = 32
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return out
	}
	network := ownline.Place{Kind: ownline.PlacePrefix, Name: p.String()}
	if n.systems {
		// One kind for all, so that an address that the database does not know is new, too.
		network.Kind = ownline.PlaceSystem
		if number, _, ok := n.geo.ASN(a); ok {
			network.Name = fmt.Sprintf("AS%d", number)
		}
	}
	return append(out, network)
}
