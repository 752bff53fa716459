//go:build !linux

package firewalld

import (
	"context"
	"errors"

	"github.com/ownline/ownline/internal/core/firewall/nft"
)

// Driver is not available on this system.
type Driver struct{ nft.Driver }

// New returns errors.ErrUnsupported.
func New(context.Context, Config) (*Driver, error) { return nil, errors.ErrUnsupported }

// Runs returns false.
func Runs(context.Context, Config) bool { return false }

// Left returns false.
func Left(context.Context, Config) bool { return false }

// Remove returns errors.ErrUnsupported.
func Remove(context.Context, Config) error { return errors.ErrUnsupported }
