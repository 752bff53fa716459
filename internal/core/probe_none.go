//go:build noproxy

package core

import "github.com/ownline/ownline/internal/core/doctor"

func newProbe() doctor.Probe { return doctor.Probe{} }
