package cli

import (
	"errors"
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/command"
)

// runCommand runs the command and ends with its exit code. Ctrl-C reaches it by itself, on the
// same console; it decides what to do, and is waited for.
func runCommand(cmd *cobra.Command, words []string) error {
	c := exec.Command(words[0], words[1:]...)
	c.Stdin, c.Stdout, c.Stderr = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	err := c.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return &command.ExitError{Code: max(exit.ExitCode(), 1)}
	}
	return err
}
