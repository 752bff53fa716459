package bed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

const systemBus = "DBUS_SYSTEM_BUS_ADDRESS"

// Command returns a command for Start or Run. When ctx ends, the process is killed.
func (h *Host) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, name, args...)
}

// Start starts a command as a process on the host. The kernel kills it when this process
// dies in whatever way, and Close kills it if it still runs. The caller waits for it with
// cmd.Wait; cmd.Start and cmd.Run would run it outside the bed. Unless the environment names another, it
// finds no message bus: the machine's would lead out of the bed.
func (h *Host) Start(cmd *exec.Cmd) error {
	if _, named := os.LookupEnv(systemBus); cmd.Env == nil && !named {
		cmd.Env = append(os.Environ(), systemBus+"=unix:path=/nonexistent")
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := h.Do(cmd.Start); err != nil {
		return fmt.Errorf("start on %s: %w", h.Name, err)
	}
	return h.bed.own(func() error {
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("kill %s on %s: %w", cmd.Path, h.Name, err)
		}
		return nil
	})
}

// Run starts a command on the host and waits for its end.
func (h *Host) Run(cmd *exec.Cmd) error {
	if err := h.Start(cmd); err != nil {
		return err
	}
	return cmd.Wait()
}
