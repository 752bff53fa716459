//go:build noproxy

package main

import (
	"io"

	"github.com/ownline/ownline/internal/core"
)

// This core has no doorstep, and asks no router in front for ports: there is nothing to tell of either.

func owned(list []core.Listed) []core.Listed { return list }

func printGuests(io.Writer, []core.Listed) {}

func frontColumn([]core.Listed) (head string, of func(*core.Listed) string) {
	return "", func(*core.Listed) string { return "" }
}
