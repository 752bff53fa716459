//go:build !noproxy

package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/ownline/ownline/internal/core"
)

// owned are the sessions that are somebody's: the others lead guests to the doorstep.
func owned(list []core.Listed) []core.Listed {
	return slices.DeleteFunc(slices.Clone(list), func(s core.Listed) bool { return s.Doorstep })
}

// printGuests tells of the sessions that lead guests to the doorstep.
func printGuests(w io.Writer, list []core.Listed) {
	head := "\nAT THE DOORSTEP\tPORT\tGUEST OF\tLEFT\tID\n"
	for i := range list {
		if s := &list[i]; s.Doorstep {
			fmt.Fprintf(w, "%s%s\t%d/%s\t%s\t%s\t%s\n", head, s.Source, s.PublicPort, s.Transport, s.User, left(s.Until), s.ID)
			head = ""
		}
	}
}

// frontColumn tells of the router in front, if that is asked for a port.
func frontColumn(list []core.Listed) (head string, of func(*core.Listed) string) {
	if !slices.ContainsFunc(list, func(s core.Listed) bool { return s.InFront != nil }) {
		return "", func(*core.Listed) string { return "" }
	}
	return "\tROUTER IN FRONT", func(s *core.Listed) string {
		switch p := s.InFront; {
		case p == nil:
			return "\tnot asked"
		case !p.Open:
			return "\tSHUT: " + p.Error
		case len(p.For) > 0:
			return "\topen to its source"
		}
		return "\topen to everybody"
	}
}
