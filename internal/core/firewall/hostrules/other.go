//go:build !linux

package hostrules

import "errors"

// Rules are those of Linux alone.
type Rules struct{}

// Read returns errors.ErrUnsupported.
func Read() (*Rules, error) { return nil, errors.ErrUnsupported }

// Legacy does nothing.
func (*Rules) Legacy(bool, string) {}

// Close returns nil.
func (*Rules) Close() error { return nil }

// Obstacles returns none.
func (*Rules) Obstacles(*Packet) []Obstacle { return nil }
