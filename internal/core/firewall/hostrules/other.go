//go:build !linux

package hostrules

import (
	"errors"

	"github.com/ownline/ownline/internal/core/firewall"
)

// Rules are those of Linux alone.
type Rules struct{}

// Read returns errors.ErrUnsupported.
func Read() (*Rules, error) { return nil, errors.ErrUnsupported }

// Legacy does nothing.
func (*Rules) Legacy(bool, string) {}

// Close returns nil.
func (*Rules) Close() error { return nil }

// Rewrites returns none.
func (*Rules) Rewrites(*Packet) *firewall.Chain { return nil }

// Unseen returns none.
func (*Rules) Unseen() []*firewall.Chain { return nil }

// Obstacles returns none.
func (*Rules) Obstacles(*Packet) []Obstacle { return nil }
