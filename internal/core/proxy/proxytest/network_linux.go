package proxytest

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/loopback"
)

const inOwnNetwork = "OWNLINE_PROXYTEST_NETWORK"

// The addresses of IPv6 in a network of Main, as 127.0.0.1 to 3 are in any.
var (
	Inside6    = netip.MustParseAddr("fd6f:6f77::1")
	Client6    = netip.MustParseAddr("fd6f:6f77::2")
	Neighbour6 = netip.MustParseAddr("fd6f:6f77::3")
)

// Main is the whole TestMain of a driver: its tests run in a network of their own, which has
// nothing but a loopback interface, with several addresses of IPv6, too. Where there can be
// none they run where they are.
func Main(m *testing.M) {
	if os.Getenv(inOwnNetwork) != "" {
		os.Unsetenv(inOwnNetwork)
		if err := furnish(); err != nil {
			fmt.Fprintln(os.Stderr, "a network of our own:", err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	runtime.LockOSThread() // the kernel sends Pdeathsig when this thread ends
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: os.Args, Env: append(os.Environ(), inOwnNetwork+"=1"),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		SysProcAttr: &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL},
	}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "tests that need a network of their own will skip:", err)
		runtime.UnlockOSThread()
		os.Exit(m.Run())
	}
	var failed *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &failed) {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(cmd.ProcessState.ExitCode())
}

// furnish switches the loopback interface on, and gives it addresses.
func furnish() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_LOOPBACK)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return err
	}
	// A Caddy that reloads resets whom it has not accepted yet without this, of Linux 5.14, which
	// docs/how/proxied-services.md advises.
	if err := os.WriteFile("/proc/sys/net/ipv4/tcp_migrate_req", []byte("1"), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "a client may meet a reset when Caddy reloads:", err)
	}
	return errors.Join(loopback.Add(Inside6), loopback.Add(Client6), loopback.Add(Neighbour6))
}

// Resident tells how much memory a process and its children take, in bytes (proc(5)).
func Resident(pid int) (sum int64) {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		var kB int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kB); err == nil {
			sum += kB << 10
		}
	}
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", pid))
	for child := range strings.FieldsSeq(string(children)) {
		if n, err := strconv.Atoi(child); err == nil {
			sum += Resident(n)
		}
	}
	return sum
}
