//go:build !linux

package twin

import (
	"context"
	"errors"
)

// Try returns errors.ErrUnsupported.
func Try(context.Context, [2]string, []Way) ([]Outcome, error) { return nil, errors.ErrUnsupported }
