package command

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

func TestMainExitCodes(t *testing.T) {
	for name, tc := range map[string]struct {
		args   []string
		code   int
		stderr string
	}{
		"done":               {[]string{"do", "x"}, 0, ""},
		"failed":             {[]string{"do", "fail"}, 1, "prog: do: it failed\n"},
		"missing":            {[]string{"do"}, 2, "prog: do: THING is missing\nRun `prog do --help` for how to use it.\n"},
		"too many":           {[]string{"do", "a", "b"}, 2, "prog: do: \"b\" is one argument too many\nRun `prog do --help` for how to use it.\n"},
		"perhaps a value":    {[]string{"do", "a", "--fwknop", "b"}, 2, "prog: do: \"b\" is one argument too many; if it is the value of --fwknop, write --fwknop=b\nRun `prog do --help` for how to use it.\n"},
		"its value is there": {[]string{"do", "a", "--fwknop=c", "b"}, 2, "prog: do: \"b\" is one argument too many\nRun `prog do --help` for how to use it.\n"},
		"takes no value":     {[]string{"do", "a", "--quiet", "b"}, 2, "prog: do: \"b\" is one argument too many\nRun `prog do --help` for how to use it.\n"},
		"flag":               {[]string{"do", "--what"}, 2, "prog: do: unknown flag: --what\nRun `prog do --help` for how to use it.\n"},
		"found out late":     {[]string{"do", "usage"}, 2, "prog: do: not like this\nRun `prog do --help` for how to use it.\n"},
		"no command":         {nil, 2, "prog: a command is missing; there are: do, group\nRun `prog --help` for how to use it.\n"},
		"unknown":            {[]string{"dont"}, 2, "prog: there is no command \"dont\"\nRun `prog --help` for how to use it.\n"},
		"group":              {[]string{"group"}, 2, "prog: group: a command is missing; there are: sub\nRun `prog group --help` for how to use it.\n"},
		"in a group":         {[]string{"group", "sub"}, 1, "prog: group sub: broken\n"},
		"what was run":       {[]string{"do", "exit"}, 7, ""},
		"stopped by Ctrl-C":  {[]string{"do", "stop"}, 1, "prog: do: stopped\n"},
	} {
		t.Run(name, func(t *testing.T) {
			root := &cobra.Command{Use: "prog"}
			root.CompletionOptions.DisableDefaultCmd = true
			root.SetHelpCommand(&cobra.Command{Hidden: true})
			do := &cobra.Command{Use: "do THING", Args: Args("THING"), RunE: func(_ *cobra.Command, args []string) error {
				return map[string]error{
					"fail": errors.New("it failed"), "usage": Usagef("not like this"), "exit": &ExitError{7}, "stop": context.Canceled,
				}[args[0]]
			}}
			do.Flags().String("fwknop", "", "")
			do.Flags().Lookup("fwknop").NoOptDefVal = "sha256"
			do.Flags().Bool("quiet", false, "")
			group := &cobra.Command{Use: "group"}
			group.AddCommand(&cobra.Command{Use: "sub", Args: Args(), RunE: func(*cobra.Command, []string) error { return errors.New("broken") }})
			root.AddCommand(do, group)
			var stderr strings.Builder
			root.SetErr(&stderr)
			if code := Main(t.Context(), root, append([]string{}, tc.args...)); code != tc.code || stderr.String() != tc.stderr {
				t.Errorf("got %d %q", code, stderr.String())
			}
		})
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	if err := Table(&b, []string{"A", "LONG"}, [][]string{{"value", ""}, {"x", "a\x1b[2Jb\nc"}, {"y", "a\u202egnp\u2066\u200f.exe"}}, "none"); err != nil {
		t.Fatal(err)
	}
	want := "A      LONG\nvalue  -\nx      a\uFFFD[2Jb\uFFFDc\ny      a\uFFFDgnp\uFFFD\uFFFD.exe\n"
	if b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
	b.Reset()
	if err := Table(&b, []string{"A"}, nil, "none"); err != nil || b.String() != "none\n" {
		t.Errorf("got %q, %v", b.String(), err)
	}
}

func TestWhen(t *testing.T) {
	now := time.Date(2026, 5, 4, 15, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		0:                             "now (15:00)",
		29 * time.Minute:              "in 29m (15:29)",
		90 * time.Second:              "in 1m30s (15:01)",
		-65 * time.Minute:             "1h05m ago (13:55)",
		50 * time.Hour:                "in 2d02h (2026-05-06 17:00)",
		-45 * time.Second:             "45s ago (14:59)",
		9*time.Hour + time.Nanosecond: "in 9h00m (2026-05-05 00:00)",
	} {
		if got := When(now.Add(d), now); got != want {
			t.Errorf("%s: got %q, want %q", d, got, want)
		}
	}
	if got := When(time.Time{}, now); got != "never" {
		t.Errorf("got %q", got)
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 1<<20 - 1: "1.0 MiB", 5 << 30: "5.0 GiB", 1<<64 - 1: "16.0 EiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

func TestPassword(t *testing.T) {
	for in, want := range map[string]string{"secret\n": "secret", "secret": "secret", "secret word\r\nmore\n": "secret word", "": "", "\n": ""} {
		got, err := Password(strings.NewReader(in), nil, "", true)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: got %q, %v", in, got, err)
		}
	}
}
