//go:build unix

package acme

import (
	"os/exec"
	"syscall"
)

// group makes that what a hook has started ends with it when its time is over.
func group(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
