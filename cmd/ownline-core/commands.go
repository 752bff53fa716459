package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/core"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/version"
)

func commands() []command {
	return []command{runCommand(), pairCommand(), statusCommand(), sessionsCommand(), explainCommand(), doctorCommand(), flushCommand(), versionCommand(), completionCommand()}
}

func runCommand() command {
	check := false
	return command{
		name: "run", short: "Run the daemon until it is told to stop",
		long: `Run the daemon. It needs the right to change the firewall (root, or CAP_NET_ADMIN).
When it stops, or is killed, open sessions go on and end on time: the kernel sees to that.`,
		examples: []string{"ownline-core run --config /etc/ownline/core.yaml", "ownline-core run --check"},
		flags: func(f *flag.FlagSet) {
			f.BoolVar(&check, "check", false, "only read the settings, and say what is wrong with them")
		},
		run: func(ctx context.Context, c *call) error {
			cfg, err := config.InspectCore(c.config, os.Environ(), core.Inspect)
			if err == nil {
				err = core.Check(cfg)
			}
			if err != nil || check {
				return err
			}
			log, err := logging.New(c.stderr, cfg.Log.Level, cfg.Log.Format)
			if err != nil {
				return err
			}
			if cfg.Proxy.Serves() && cfg.Proxy.Driver == ownline.EmbeddedProxy {
				// Every request and handshake makes some, and a heap of 2 MB is soon collected again: 2 MB more
				// save a tenth of their cost. Slow clients take little, so that it stays at 2 to 4 MB.
				setGarbage(100)
			}
			daemon, err := core.New(cfg, version.String(), log)
			if err != nil {
				return err
			}
			return daemon.Run(ctx)
		},
	}
}

func pairCommand() command {
	host := ""
	return command{
		name: "pair", short: "Print a code that makes an ownline-web the one to obey",
		long: `Print a one-line code, good once and for 10 minutes. Paste it into ownline-web, or run there:

  ownline-web site add CODE --name home --host home.example.org

The web that is paired now, if any, is obeyed until the code is used.`,
		examples: []string{"ownline-core pair", "ownline-core pair --host 192.168.1.1"},
		flags: func(f *flag.FlagSet) {
			f.StringVar(&host, "host", "", "`address` at which web reaches this router (default: that of link.listen, or one of the LAN)")
		},
		run: func(ctx context.Context, c *call) error {
			control, err := c.control()
			if err != nil {
				return err
			}
			code, err := control.Pair(ctx, host)
			if err != nil {
				return err
			}
			return c.print(code, func(w io.Writer) error {
				fmt.Fprintf(c.stderr, "Good once, until %s:\n", code.Expires.Local().Format("15:04:05"))
				_, err := fmt.Fprintln(w, code.Code)
				return err
			})
		},
	}
}

func statusCommand() command {
	return command{
		name: "status", short: "Tell how the daemon is: link, firewall, clock, reverse proxy, knocks",
		run: func(ctx context.Context, c *call) error {
			control, err := c.control()
			if err != nil {
				return err
			}
			s, err := control.Status(ctx)
			if err != nil {
				return err
			}
			return c.print(s, func(w io.Writer) error { return printStatus(w, s) })
		},
	}
}

func printStatus(out io.Writer, s link.Status) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "version\t%s, up %s\n", s.Version, s.Up.Round(time.Second))
	web := "not paired: run `ownline-core pair`"
	if s.Paired {
		web = "paired, not connected"
	}
	if s.Connected {
		web = fmt.Sprintf("connected, site %q, revision %d", s.SiteName, s.Applied.Revision)
	}
	fmt.Fprintf(w, "web\t%s\n", web)
	fw := "ok"
	switch {
	case !s.Firewall.OK:
		fw = "FAILED: " + s.Firewall.Error
	case s.Firewall.Lacks != "":
		fw = "ok, but with " + s.Firewall.Lacks
	}
	fmt.Fprintf(w, "firewall\t%s, %s\n", s.Firewall.Driver, fw)
	clock := s.Clock.Source
	if s.Clock.Why != "" {
		clock += ": " + s.Clock.Why
	}
	fmt.Fprintf(w, "clock\t%s\n", clock)
	printProxy(w, s.Proxy)
	printPorts(w, s.Ports)
	guests := ""
	if s.DoorstepSessions > 0 {
		guests = fmt.Sprintf(", and %d that lead guests to the doorstep", s.DoorstepSessions)
	}
	fmt.Fprintf(w, "sessions\t%d%s\n", s.Sessions, guests)
	fmt.Fprintf(w, "devices\t%d\n", s.Devices)
	fmt.Fprintf(w, "knock port\t%d/udp\n", s.KnockPort)
	fwknop := "none: its packets are not taken"
	if s.FwknopPort != 0 {
		fwknop = fmt.Sprintf("%d/udp", s.FwknopPort)
	}
	fmt.Fprintf(w, "fwknop port\t%s\n", fwknop)
	fmt.Fprintf(w, "knock filter\t%s\n", filterOf(s.Firewall))
	fmt.Fprintf(w, "local networks\t%v\n", s.LocalNetworks)
	fmt.Fprintf(w, "knocks accepted\t%d\n", s.Knocks.Accepted)
	reasons := make([]string, 0, len(s.Knocks.Dropped))
	for r := range s.Knocks.Dropped {
		reasons = append(reasons, r)
	}
	slices.Sort(reasons)
	for _, r := range reasons {
		if n := s.Knocks.Dropped[r]; n > 0 {
			fmt.Fprintf(w, "  dropped, %s\t%d\n", r, n)
		}
	}
	return w.Flush()
}

// filterOf tells what the kernel keeps away from core.
func filterOf(f link.Firewall) string {
	switch {
	case !f.Filter:
		return "off: every datagram gets to core"
	case f.Lacks != "":
		return "on in part: garbage dies in the kernel, but for what firewall says"
	}
	return "on: garbage dies in the kernel"
}

func printProxy(w io.Writer, p link.Proxy) {
	if p.Domain == "" { // nothing is served by name
		fmt.Fprintf(w, "proxy\t%s\n", p.Driver)
		return
	}
	how := "ok"
	switch {
	case !p.OK:
		how = "FAILED: " + p.Error
	case p.Error != "":
		how += ", but " + p.Error
	}
	fmt.Fprintf(w, "proxy\t%s, %s\n", p.Driver, how)
	fmt.Fprintf(w, "names\t%d at *.%s, port %d\n", p.Services, p.Domain, p.Port)
	at := p.Expires.Local().Format(time.DateTime)
	certificates := "valid until " + at
	switch {
	case p.Expires.IsZero():
		certificates = "none yet"
	case !time.Now().Before(p.Expires):
		certificates = "EXPIRED at " + at
	}
	fmt.Fprintf(w, "certificates\t%s\n", certificates)
	door := "shut"
	if time.Now().Before(p.Doorstep) {
		door = "open to everybody until " + p.Doorstep.Local().Format(time.DateTime)
	}
	fmt.Fprintf(w, "doorstep\t%s\n", door)
}

func sessionsCommand() command {
	return command{
		name: "sessions", short: "List what is open now",
		run: func(ctx context.Context, c *call) error {
			control, err := c.control()
			if err != nil {
				return err
			}
			list, err := control.Sessions(ctx)
			if err != nil {
				return err
			}
			return c.print(list, func(w io.Writer) error { return printSessions(w, list) })
		},
	}
}

func printSessions(out io.Writer, list []core.Listed) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	open := owned(list)
	if len(open) == 0 {
		fmt.Fprintln(w, "Nothing is open.")
	} else {
		head, inFront := frontColumn(open)
		fmt.Fprintln(w, "SOURCE\tPORT\tTARGET\tSERVICE\tUSER\tLEFT\tUP\tDOWN\tID"+head)
		for i := range open {
			s := &open[i]
			fmt.Fprintf(w, "%s\t%d/%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s%s\n", s.Source, s.PublicPort, s.Transport, s.Target, s.Service, s.User,
				left(s.Until), s.Traffic.UpBytes, s.Traffic.DownBytes, s.ID, inFront(s))
		}
	}
	printGuests(w, list)
	return w.Flush()
}

func left(until time.Time) time.Duration { return time.Until(until).Round(time.Second) }

func flushCommand() command {
	return command{
		name: "flush", short: "Close every session now",
		long: "Close every session now, established connections included, and tell web. Works without web, too.",
		run: func(ctx context.Context, c *call) error {
			control, err := c.control()
			if err != nil {
				return err
			}
			f, err := control.Flush(ctx)
			if err != nil {
				return err
			}
			return c.print(f, func(w io.Writer) error {
				if f.Unknown {
					_, err := fmt.Fprintln(w, "Closed everything. Core has not heard from web since it started, so it can't say how much that was.")
					return err
				}
				_, err := fmt.Fprintf(w, "Closed %d sessions.\n", f.Sessions)
				return err
			})
		},
	}
}

func versionCommand() command {
	return command{
		name: "version", short: "Print the version",
		run: func(_ context.Context, c *call) error {
			v := map[string]string{"version": version.String()}
			return c.print(v, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, version.String())
				return err
			})
		},
	}
}
