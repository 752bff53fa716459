package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"text/tabwriter"
	"time"

	"github.com/ownline/ownline/internal/core"
)

func explainCommand() command {
	return command{
		name: "explain", short: "Tell why somebody at an address can't get in", args: "SOURCE [SERVICE]",
		long: `Tell why somebody at an address gets in, or does not: what keeps everybody out, what is open for
that address and what comes through it now, the last knocks from there, and what is in the way of
both on this router, by the checks of ownline-core doctor. SOURCE is the address that the client has on the internet. SERVICE is the name of
a service, or its ID.

What is wrong comes first, with what to do about it. Exits with 1 if anything is.`,
		examples: []string{"ownline-core explain 198.51.100.7", "ownline-core explain 2001:db8:7::5 nextcloud --json"},
		run: func(ctx context.Context, c *call) error {
			if len(c.args) == 0 || len(c.args) > 2 {
				return usageError{fmt.Errorf("give an address, and a service if you like")}
			}
			source, err := netip.ParseAddr(c.args[0])
			if err != nil || source.Zone() != "" {
				return usageError{fmt.Errorf("%q is no address; give the one that the client has on the internet, like 198.51.100.7", c.args[0])}
			}
			service := ""
			if len(c.args) == 2 {
				service = c.args[1]
			}
			control, err := c.control()
			if err != nil {
				return err
			}
			e, err := control.Explain(ctx, source, service)
			if err != nil {
				return err
			}
			if err := c.print(e, func(w io.Writer) error { return printExplanation(w, e) }); err != nil {
				return err
			}
			if n := e.Problems(); n > 0 {
				return fmt.Errorf("problems found: %d", n)
			}
			return nil
		},
	}
}

func printExplanation(out io.Writer, e core.Explanation) error {
	for _, f := range e.Findings {
		mark := "✓"
		switch {
		case f.Problem:
			mark = "✗"
		case f.Warning:
			mark = "!"
		}
		fmt.Fprintf(out, "%s %s\n", mark, f.Text)
		if f.Fix != "" {
			fmt.Fprintf(out, "  → %s\n", f.Fix)
		}
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if len(e.Sessions) > 0 {
		fmt.Fprintln(w, "\nSESSION\tPORT\tTARGET\tLEFT\tIN KERNEL\tUP\tDOWN")
		for _, s := range e.Sessions {
			fmt.Fprintf(w, "%s\t%d/%s\t%s\t%s\t%t\t%d\t%d\n", s.Service, s.PublicPort, s.Transport, s.Target,
				time.Until(s.Until).Round(time.Second), s.Live, s.Traffic.UpBytes, s.Traffic.DownBytes)
		}
	}
	if len(e.Knocks) > 0 {
		fmt.Fprintln(w, "\nKNOCK\tFROM\tDEVICE\tOUTCOME")
		for _, k := range e.Knocks {
			device := "unknown"
			switch {
			case !k.Device.IsZero():
				device = k.Device.String()
			case !k.Hint.IsZero():
				device += " (hint of " + k.Hint.String() + ")"
			}
			outcome := k.Outcome
			if k.Gone {
				outcome += "; its key counts no more"
			}
			for _, s := range k.Services {
				if s.Refused != "" {
					outcome += fmt.Sprintf("; %s: %s", s.Service, s.Refused)
				}
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", k.At.Local().Format(time.DateTime), k.Source, device, outcome)
		}
	}
	return w.Flush()
}
