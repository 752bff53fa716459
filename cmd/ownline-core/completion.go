package main

import (
	"context"
	"flag"
	"fmt"
	"strings"
)

func completionCommand() command {
	return command{
		name: "completion", short: "Print a completion script for a shell", args: "bash|zsh|fish",
		long:     "Print a script that teaches a shell the commands and flags of ownline-core.",
		examples: []string{"ownline-core completion bash > /etc/bash_completion.d/ownline-core", "ownline-core completion fish > ~/.config/fish/completions/ownline-core.fish"},
		run: func(_ context.Context, c *call) error {
			if len(c.args) != 1 {
				return usageError{fmt.Errorf("name one shell: bash, zsh or fish")}
			}
			switch c.args[0] {
			case "bash":
				fmt.Fprint(c.stdout, bashCompletion())
			case "zsh":
				// zsh reads what bash does, once it is asked to.
				fmt.Fprint(c.stdout, "#compdef ownline-core\nautoload -U +X bashcompinit && bashcompinit\n"+bashCompletion())
			case "fish":
				fmt.Fprint(c.stdout, fishCompletion())
			default:
				return usageError{fmt.Errorf("%q is not one of bash, zsh, fish", c.args[0])}
			}
			return nil
		},
	}
}

// flagsOf lists the flags of a command.
func flagsOf(cmd command) []string {
	f := newFlags("", new(call))
	if cmd.flags != nil {
		cmd.flags(f)
	}
	var out []string
	offered(f, func(f *flag.Flag) { out = append(out, "--"+f.Name) })
	return out
}

func bashCompletion() string {
	var names []string
	var cases strings.Builder
	for _, cmd := range commands() {
		names = append(names, cmd.name)
		fmt.Fprintf(&cases, "    %s) words=%q ;;\n", cmd.name, strings.Join(flagsOf(cmd), " "))
	}
	return fmt.Sprintf(`_ownline_core() {
  local cur=${COMP_WORDS[COMP_CWORD]} words=%q
  if [ "$COMP_CWORD" -gt 1 ]; then
    case ${COMP_WORDS[1]} in
%s    esac
  fi
  if [ "${COMP_WORDS[COMP_CWORD-1]}" = --config ]; then
    COMPREPLY=($(compgen -f -- "$cur"))
  else
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
  fi
}
complete -F _ownline_core ownline-core
`, strings.Join(names, " ")+" --config --json --help", cases.String())
}

func fishCompletion() string {
	var b strings.Builder
	b.WriteString("complete -c ownline-core -f\n")
	for _, cmd := range commands() {
		fmt.Fprintf(&b, "complete -c ownline-core -n __fish_use_subcommand -a %s -d %q\n", cmd.name, cmd.short)
		for _, f := range flagsOf(cmd) {
			fmt.Fprintf(&b, "complete -c ownline-core -n '__fish_seen_subcommand_from %s' -l %s\n", cmd.name, strings.TrimPrefix(f, "--"))
		}
	}
	return b.String()
}
