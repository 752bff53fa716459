//go:build unix

package cli

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/spf13/cobra"
)

// runCommand becomes the command: all signals, the terminal and the exit code are then its
// own. It returns only when that fails.
func runCommand(_ *cobra.Command, words []string) error {
	file, err := exec.LookPath(words[0])
	if err != nil {
		return err
	}
	return fmt.Errorf("run %s: %w", file, syscall.Exec(file, words, os.Environ()))
}
