package world

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/ownline/ownline/test/bed"
)

// Daemon is a program that runs on a host of the bed and may be stopped, killed and started
// again. Its methods are for one goroutine.
type Daemon struct {
	host *bed.Host
	log  string
	args []string

	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
}

func newDaemon(h *bed.Host, log string, args ...string) *Daemon {
	return &Daemon{host: h, log: log, args: args}
}

// Start starts the program; what it logs is added to its file.
func (d *Daemon) Start(ctx context.Context) error {
	f, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	cmd := exec.Command(d.args[0], d.args[1:]...)
	cmd.Stdout, cmd.Stderr = f, f
	if err := d.host.Start(cmd); err != nil {
		return err
	}
	d.cmd, d.done = cmd, make(chan struct{})
	go func(done chan struct{}) {
		_ = cmd.Wait() // how it ended is in its log and ProcessState
		close(done)
	}(d.done)
	return ctx.Err()
}

// Running reports whether the process lives.
func (d *Daemon) Running() bool {
	if d.cmd == nil {
		return false
	}
	select {
	case <-d.done:
		return false
	default:
		return true
	}
}

// Pid is the number of the process, after Start.
func (d *Daemon) Pid() int { return d.cmd.Process.Pid }

// Memory tells how much the program takes now, and how much it took at most since its start, in
// bytes (proc(5)).
func (d *Daemon) Memory() (now, most int64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	for line := range strings.Lines(string(status)) {
		var kB int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kB); err == nil {
			now = kB << 10
		}
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kB); err == nil {
			most = kB << 10
		}
	}
	if now == 0 || most == 0 {
		err = errors.Join(err, errors.New("no VmRSS and VmHWM in the status of "+d.args[0]))
	}
	return now, most, err
}

// Kill ends the process as a crash would: SIGKILL.
func (d *Daemon) Kill() error {
	if err := d.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-d.done
	return nil
}

// Stop asks the process to end, and waits.
func (d *Daemon) Stop(within time.Duration) error {
	if !d.Running() {
		return nil
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM) // it may just have ended
	select {
	case <-d.done:
		return nil
	case <-time.After(within):
		return errors.Join(fmt.Errorf("%s does not stop when asked", d.args[0]), d.Kill())
	}
}

// Log returns all that the program has said.
func (d *Daemon) Log() string {
	b, err := os.ReadFile(d.log)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Until asks again and again until try succeeds, at most 20 s. When it gives up, the error
// ends with the last lines of the log.
func (d *Daemon) Until(ctx context.Context, what string, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if !d.Running() || ctx.Err() != nil {
			lines := strings.Split(strings.TrimSpace(d.Log()), "\n")
			return fmt.Errorf("%s does not %s: %w\n%s", d.args[0], what, err, strings.Join(lines[max(0, len(lines)-15):], "\n"))
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// RunOn runs a program to its end and returns what it printed; an error has what it said.
func RunOn(ctx context.Context, h *bed.Host, stdin, name string, args ...string) ([]byte, error) {
	cmd := h.Command(ctx, name, args...)
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &said
	if err := h.Run(cmd); err != nil {
		return out.Bytes(), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(said.String()))
	}
	return out.Bytes(), nil
}
