//go:build noproxy

package main

import (
	"io"

	"github.com/ownline/ownline/internal/core"
	"github.com/ownline/ownline/internal/link"
)

// This core asks no router in front for ports, and has no doorstep: there is nothing to tell of either.

func printPorts(io.Writer, *link.Ports) {}

func owned(list []core.Listed) []core.Listed { return list }

func printGuests(io.Writer, []core.Listed) {}

func frontColumn([]core.Listed) (head string, of func(*core.Listed) string) {
	return "", func(*core.Listed) string { return "" }
}
