package access

import (
	"context"

	"github.com/ownline/ownline/internal/ownline"
)

// NewDevice is what is told of a new device.
type NewDevice struct {
	User                 ownline.UserID // zero: the actor's own; another's only by an admin
	Site                 ownline.SiteID
	Name                 string
	RequireClaimedSource bool
}

// DeviceQuery selects devices; zero fields select all.
type DeviceQuery struct {
	ownline.Page
	User ownline.UserID
	Site ownline.SiteID
}

// Devices lists devices, oldest first, without their secrets: an admin all, others their
// own.
func (a *Access) Devices(ctx context.Context, actor Actor, q DeviceQuery) ([]ownline.Device, string, error) {
	return nil, "", errUnfinished
}

// Device returns one of those that Devices lists.
func (a *Access) Device(ctx context.Context, actor Actor, id ownline.DeviceID) (ownline.Device, error) {
	return ownline.Device{}, errUnfinished
}

// AddDevice makes a device and its profile, which is shown this once. It waits a moment for
// core to learn of the device, but does not fail when core can't be reached.
func (a *Access) AddDevice(ctx context.Context, actor Actor, n NewDevice) (ownline.Device, ownline.Profile, error) {
	return ownline.Device{}, ownline.Profile{}, errUnfinished
}

// RevokeDevice makes a device's knocks count no more and ends its sessions. It can't be
// undone.
func (a *Access) RevokeDevice(ctx context.Context, actor Actor, id ownline.DeviceID) (ownline.Device, error) {
	return ownline.Device{}, errUnfinished
}

// RotateDevice gives a device a new secret; the old one counts no more. Its sessions stay.
func (a *Access) RotateDevice(ctx context.Context, actor Actor, id ownline.DeviceID) (ownline.Device, ownline.Profile, error) {
	return ownline.Device{}, ownline.Profile{}, errUnfinished
}

// RemoveDevice revokes a device and takes it off the lists; history keeps it.
func (a *Access) RemoveDevice(ctx context.Context, actor Actor, id ownline.DeviceID) error {
	return errUnfinished
}
