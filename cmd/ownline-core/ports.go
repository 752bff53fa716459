//go:build !noproxy

package main

import (
	"fmt"
	"io"

	"github.com/ownline/ownline/internal/link"
)

// printPorts tells of the router in front, if that is asked for ports.
func printPorts(w io.Writer, p *link.Ports) {
	if p == nil {
		return
	}
	how := "ok"
	if !p.OK {
		how = "FAILED: " + p.Error
	}
	by := p.Protocol
	if by == "" {
		by = p.Open
	}
	fmt.Fprintf(w, "router in front\t%s, %s\n", by, how)
	fmt.Fprintf(w, "opened there\t%d, of which %d for their source alone\n", p.Opened, p.Narrow)
}
