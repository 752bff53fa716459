package bed

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// entered marks, in the environment, a process that Enter has started.
const entered = "OWNLINE_BED_ENTERED"

// Check tells whether this process may build a bed, by trying the parts of it in a namespace
// that is gone when Check returns. The error says what would help.
func Check() error {
	done := make(chan error, 1)
	onNewThread(func() { done <- try() })
	if err := <-done; err != nil {
		return fmt.Errorf("network namespaces can't be used here: %w%s", err, advice())
	}
	return nil
}

// try does in the calling thread what building a bed needs.
func try() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	if err := writeSysctl("net/ipv4/ip_forward", "1"); err != nil {
		return err
	}
	link, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	defer link.Close()
	err = link.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "near"}, PeerName: "far"})
	if err != nil {
		return fmt.Errorf("make a pair of interfaces (kernel module veth): %w", err)
	}
	return nil
}

// Enter makes sure that this process may build a bed. If it already may, as root may, Enter
// returns nil at once. Otherwise it runs this program again, with the same arguments and
// files, as root of a new user namespace; the network namespace stays the host's. Then Enter
// does not return: signals are passed on, and the process ends as the inner one ends. An
// error means that neither way works here; it says what would help.
//
// Call it first thing in main, before anything has been opened or printed.
func Enter() error {
	inside := os.Getenv(entered) != ""
	if inside {
		// Programs started from here decide for themselves.
		if err := os.Unsetenv(entered); err != nil {
			return err
		}
	}
	err := Check()
	if err == nil || inside || !errors.Is(err, unix.EPERM) {
		return err
	}
	return again()
}

// again runs this program in a new user namespace and ends as it ends. It returns only if
// the program can't be started.
func again() error {
	// The kernel sends Pdeathsig when the thread dies that has started the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := &exec.Cmd{
		Path:   "/proc/self/exe", // reachable even if the path to it is not
		Args:   os.Args,
		Env:    append(os.Environ(), entered+"=1"),
		Stdin:  os.Stdin,
		Stdout: os.Stdout,
		Stderr: os.Stderr,
		SysProcAttr: &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
			Pdeathsig:   syscall.SIGKILL,
		},
	}
	signals := make(chan os.Signal, 16)
	passedOn := []os.Signal{
		unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2,
	}
	signal.Notify(signals, passedOn...)
	if err := cmd.Start(); err != nil {
		signal.Stop(signals)
		return fmt.Errorf("make a user namespace: %w%s", err, advice())
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			if s == unix.SIGINT && foreground() {
				continue // Ctrl-C on a terminal reaches both of us
			}
			// The process may just have ended; then that is what counts.
			_ = cmd.Process.Signal(s)
		case <-ended:
			signal.Stop(signals)
			endLike(cmd.ProcessState)
		}
	}
}

// foreground tells whether the terminal sends this process and its child its signals.
func foreground() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// endLike ends this process with the exit code or the signal of another.
func endLike(state *os.ProcessState) {
	status, ok := state.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		os.Exit(state.ExitCode())
	}
	signal.Reset(status.Signal())
	if unix.Kill(unix.Getpid(), status.Signal()) == nil {
		time.Sleep(time.Second) // it reaches any of our threads, not at once
	}
	os.Exit(128 + int(status.Signal()))
}

// advice names the settings of this system that forbid namespaces, and how to change them.
func advice() string {
	var help []string
	for _, s := range []struct{ file, forbids, fix string }{
		{"kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"},
		{"kernel/apparmor_restrict_unprivileged_userns", "1", "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"},
		{"user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=1000"},
		{"user/max_net_namespaces", "0", "sysctl -w user.max_net_namespaces=1000"},
	} {
		value, err := os.ReadFile("/proc/sys/" + s.file)
		if err == nil && strings.TrimSpace(string(value)) == s.forbids {
			help = append(help, s.fix)
		}
	}
	if len(help) == 0 {
		return "; run as root, or where user namespaces are allowed (in a container: --privileged)"
	}
	return "; run as root, or allow user namespaces: " + strings.Join(help, "; ")
}
