package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/core"
	"github.com/ownline/ownline/internal/core/doctor"
)

func doctorCommand() command {
	fix, assent, probe := false, false, false
	return command{
		name: "doctor", short: "Find what is wrong with this router, and how to mend it",
		long: `Look for what keeps people out: whether the daemon runs and web commands it, forwarding, reverse
path filters, the host's own rules, ports that two want, a missing masquerade, NAT in front, the
clock, certificates, files that others can read. Works without the daemon, too.

  ✓ is well    ! may go wrong    ✗ keeps somebody out

Below what is wrong are the commands that mend it. --fix runs those of them that can harm nothing
(settings of the kernel, now and in /etc/sysctl.d/99-zz-ownline.conf; modes of files), after asking for
each, and looks again. Rules of others and core.yaml it never changes. Exits with 1 if anything
keeps somebody out.` + aboutProbe,
		examples: []string{"ownline-core doctor", "ownline-core doctor --fix", "ownline-core doctor --fix --yes --json"},
		flags: func(f *flag.FlagSet) {
			f.BoolVar(&fix, "fix", false, "mend what can be mended without harm, after asking")
			f.BoolVar(&assent, "yes", false, "with --fix: do not ask")
			probeFlag(f, &probe)
		},
		run: func(ctx context.Context, c *call) error {
			if assent && !fix {
				return usageError{fmt.Errorf("--yes is for --fix")}
			}
			if probe && noProbe != "" {
				return usageError{errors.New(noProbe)}
			}
			all, err := c.examine(ctx, probe)
			if err != nil {
				return err
			}
			out := struct {
				Findings []doctor.Finding `json:"findings"`
				Mended   []doctor.Finding `json:"mended"`
			}{all, []doctor.Finding{}}
			if fix {
				if !c.json {
					printFindings(c.stdout, all)
				}
				if out.Mended, err = c.mend(all, assent); err != nil {
					return err
				}
				if len(out.Mended) == 0 && !c.json {
					return problems(all)
				}
				if out.Findings, err = c.examine(ctx, probe); err != nil {
					return err
				}
				if !c.json {
					fmt.Fprintf(c.stderr, "Mended: %d. Now it is so:\n", len(out.Mended))
				}
			}
			if err := c.print(out, func(w io.Writer) error { printFindings(w, out.Findings); return nil }); err != nil {
				return err
			}
			return problems(out.Findings)
		},
	}
}

// euid is that of this process; a test puts another in its place.
var euid = os.Geteuid

func (c *call) examine(ctx context.Context, probe bool) ([]doctor.Finding, error) {
	if euid() != 0 { // what can't be read would pass for what is well, and what can't be seen for what is amiss
		return []doctor.Finding{{Check: "rights", Level: doctor.Problem, Text: "The doctor looks at the kernel's rules and at core's files: run it as root."}}, nil
	}
	cfg, err := c.load()
	if err != nil { // by defaults, it would be another core that is looked at
		return []doctor.Finding{{Check: "settings", Level: doctor.Problem, Text: "The settings can't be read, so nothing else was looked at: " + err.Error()}}, nil
	}
	_, lacks := config.InspectCore(c.config, os.Environ(), core.Inspect)
	file := c.config
	if file == "" {
		file = config.CoreFile
	}
	return core.Doctor(ctx, &cfg, file, lacks, probe)
}

// mend does what can be done without harm, and what the admin assents to; it returns that.
func (c *call) mend(all []doctor.Finding, assent bool) ([]doctor.Finding, error) {
	mended := []doctor.Finding{}
	answers := bufio.NewScanner(os.Stdin)
	for i := range all {
		f := &all[i]
		if !f.Mends {
			continue
		}
		if !assent {
			fmt.Fprint(c.stderr, "\n", said(f), "Do this? [y/N] ")
			if !answers.Scan() || !strings.HasPrefix(strings.ToLower(answers.Text()), "y") {
				continue
			}
		}
		if err := f.Mend(); err != nil {
			return mended, fmt.Errorf("%s: %w", f.Check, err)
		}
		mended = append(mended, *f)
	}
	return mended, nil
}

func problems(all []doctor.Finding) error {
	if n := doctor.Problems(all); n > 0 {
		return fmt.Errorf("problems found: %d", n)
	}
	return nil
}

func printFindings(w io.Writer, all []doctor.Finding) {
	for i := range all {
		fmt.Fprint(w, marks[all[i].Level], " ", said(&all[i]))
	}
}

var marks = map[doctor.Level]string{doctor.Good: "✓", doctor.Warning: "!", doctor.Problem: "✗"}

// said is a finding in lines.
func said(f *doctor.Finding) string {
	text := f.Text + "\n"
	for _, fix := range f.Fix {
		text += "  → " + fix + "\n"
	}
	if f.Hint != "" {
		text += "  (" + f.Hint + ")\n"
	}
	return text
}
