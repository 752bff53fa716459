package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/core"
)

// The command line is read by the standard library alone: a command framework would be a
// twentieth of the binary, which has to fit onto small routers (ADR 0004).

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// command is one word after ownline-core.
type command struct {
	name, short, long string
	examples          []string
	args              string // for the usage line; "": takes none
	flags             func(*flag.FlagSet)
	run               func(context.Context, *call) error
}

// call is one use of a command.
type call struct {
	stdout, stderr io.Writer
	args           []string
	config         string
	json           bool
}

// usageError is a mistake in how a command was called.
type usageError struct{ error }

func (c *call) load() (config.Core, error) { return config.LoadCore(c.config, os.Environ()) }

func (c *call) control() (*core.Control, error) {
	cfg, err := c.load()
	if err != nil {
		return nil, err
	}
	return core.NewControl(cfg.ControlSocket), nil
}

// print writes v as JSON, or lets human write it for people.
func (c *call) print(v any, human func(io.Writer) error) error {
	if !c.json {
		return human(c.stdout)
	}
	enc := json.NewEncoder(c.stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fail := func(code int, err error) int {
		fmt.Fprintf(stderr, "ownline-core: %v\n", err)
		if code == exitUsage {
			fmt.Fprintln(stderr, "Run `ownline-core --help` to see how.")
		}
		return code
	}
	c := &call{stdout: stdout, stderr: stderr}
	top := newFlags("ownline-core", c)
	switch err := top.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		help(stdout)
		return exitDone
	case err != nil:
		return fail(exitUsage, err)
	case top.NArg() == 0:
		help(stderr)
		return exitUsage
	}
	name, rest := top.Arg(0), top.Args()[1:]
	if name == "help" {
		if len(rest) == 0 {
			help(stdout)
			return exitDone
		}
		name, rest = rest[0], []string{"--help"}
	}
	for _, cmd := range commands() {
		if cmd.name != name {
			continue
		}
		flags := newFlags("ownline-core "+name, c)
		if cmd.flags != nil {
			cmd.flags(flags)
		}
		args, err := parse(flags, rest)
		switch {
		case errors.Is(err, flag.ErrHelp):
			cmd.help(stdout, flags)
			return exitDone
		case err != nil:
			return fail(exitUsage, fmt.Errorf("%s: %w", name, err))
		case len(args) > 0 && cmd.args == "":
			return fail(exitUsage, fmt.Errorf("%s: %q is too much: it takes flags only", name, args[0]))
		}
		c.args = args
		err = cmd.run(ctx, c)
		var usage usageError
		switch {
		case err == nil:
			return exitDone
		case errors.As(err, &usage):
			return fail(exitUsage, fmt.Errorf("%s: %w", name, err))
		}
		return fail(exitFailed, fmt.Errorf("%s: %w", name, err))
	}
	return fail(exitUsage, fmt.Errorf("there is no command %q", name))
}

// parse takes flags before, between and after the other words, which it returns.
func parse(flags *flag.FlagSet, args []string) (words []string, err error) {
	for {
		if err := flags.Parse(args); err != nil || flags.NArg() == 0 {
			return words, err
		}
		words, args = append(words, flags.Arg(0)), flags.Args()[1:]
	}
}

// newFlags makes the flags that every command has.
func newFlags(name string, c *call) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&c.config, "config", c.config, "settings `file` (default "+config.CoreFile+", which may be missing)")
	f.BoolVar(&c.json, "json", c.json, "print data as JSON")
	return f
}

func help(out io.Writer) {
	fmt.Fprint(out, `ownline-core runs on the router. It opens one service to one address for a limited
time, as ownline-web tells it to, and lets the kernel close it again. It listens for knocks:
single sealed UDP packets that tell strangers nothing.

To set it up: start `+"`ownline-core run`"+` (as a service, usually), then run
`+"`ownline-core pair`"+` and give the line it prints to ownline-web.

Usage:
  ownline-core COMMAND [flags]

Commands:
`)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, cmd := range commands() {
		fmt.Fprintf(w, "  %s\t%s\n", cmd.name, cmd.short)
	}
	w.Flush()
	fmt.Fprint(out, "\nSettings are read from "+config.CoreFile+` and the environment (OWNLINE_CORE_…).
Run `+"`ownline-core COMMAND --help`"+` for more about one.
Exit codes: 0 done, 1 failed, 2 wrong usage.
`)
}

func (cmd *command) help(out io.Writer, flags *flag.FlagSet) {
	text := cmd.long
	if text == "" {
		text = cmd.short + "."
	}
	fmt.Fprintf(out, "%s\n\nUsage:\n  %s\n", text, strings.TrimSpace("ownline-core "+cmd.name+" [flags] "+cmd.args))
	if len(cmd.examples) > 0 {
		fmt.Fprintf(out, "\nExamples:\n  %s\n", strings.Join(cmd.examples, "\n  "))
	}
	fmt.Fprint(out, "\nFlags:\n")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	offered(flags, func(f *flag.Flag) {
		value, text := flag.UnquoteUsage(f)
		fmt.Fprintf(w, "  --%s\t%s\n", strings.TrimSpace(f.Name+" "+value), text)
	})
	w.Flush()
}

// offered are the flags that there are words for.
func offered(flags *flag.FlagSet, each func(*flag.Flag)) {
	flags.VisitAll(func(f *flag.Flag) {
		if f.Usage != "" {
			each(f)
		}
	})
}
