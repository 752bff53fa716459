//go:build !linux

package nft

import (
	"context"
	"errors"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/ownline"
)

// Driver is not available on this system.
type Driver struct{}

// New returns errors.ErrUnsupported.
func New(Config) (*Driver, error) { return nil, errors.ErrUnsupported }

// Remove returns errors.ErrUnsupported.
func Remove() (bool, error) { return false, errors.ErrUnsupported }

// Left returns false.
func Left() bool { return false }

// Run returns errors.ErrUnsupported.
func (*Driver) Run(context.Context) error { return errors.ErrUnsupported }

// Close returns errors.ErrUnsupported.
func (*Driver) Close() error { return errors.ErrUnsupported }

// Sync returns errors.ErrUnsupported.
func (*Driver) Sync(context.Context, firewall.Ruleset) error { return errors.ErrUnsupported }

// Change returns errors.ErrUnsupported.
func (*Driver) Change(context.Context, []firewall.Forward, []firewall.Key) error {
	return errors.ErrUnsupported
}

// Changed returns errors.ErrUnsupported.
func (*Driver) Changed(context.Context) (bool, error) { return false, errors.ErrUnsupported }

// Counters returns errors.ErrUnsupported.
func (*Driver) Counters(context.Context, ...firewall.Key) (map[firewall.Key]ownline.Traffic, error) {
	return nil, errors.ErrUnsupported
}

// KnockCounters returns errors.ErrUnsupported.
func (*Driver) KnockCounters(context.Context) (firewall.KnockCounts, error) {
	return firewall.KnockCounts{}, errors.ErrUnsupported
}

// Lacks returns errors.ErrUnsupported.
func (*Driver) Lacks() error { return errors.ErrUnsupported }

// Filters returns false.
func (*Driver) Filters() bool { return false }
