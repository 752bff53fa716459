package gate

import (
	"bytes"
	"fmt"
	"io/fs"
	"net"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// onThread calls f on a thread that does nothing else meanwhile, not even end. Its number together with the
// process's is a better sign of life than that alone: who gets both after us has as many threads.
func onThread(f func(lead string) error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if unix.Gettid() == os.Getpid() {
		over := make(chan error)
		go func() { over <- onThread(f) }()
		return <-over
	}
	lead := fmt.Sprintf("/proc/%d/task/%d/comm", os.Getpid(), unix.Gettid())
	if _, err := os.Stat(lead); err != nil || hidden() {
		lead = ""
	}
	return f(lead)
}

// hidden reports whether /proc refuses others a look, which nginx would log at every request. Where
// it shows them nothing at all (hidepid=2) they ask.
func hidden() bool {
	b, err := os.ReadFile("/proc/self/mountinfo")
	for line := range bytes.Lines(b) {
		if bytes.Contains(line, []byte(" - proc ")) && (bytes.Contains(line, []byte("hidepid=1")) || bytes.Contains(line, []byte("hidepid=noaccess"))) {
			return true
		}
	}
	return err != nil
}

// isNear reports whether the process at the other end of a Unix socket sees processes by our numbers, and
// not by those of a container (unix(7), SO_PEERCRED; proc(5), NSpid).
func isNear(c net.Conn) bool {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return false
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return false
	}
	var peer *unix.Ucred
	if e := raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); e != nil || err != nil || peer.Pid <= 0 {
		return false
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", peer.Pid))
	if err != nil {
		return false
	}
	for line := range bytes.Lines(b) {
		if numbers, is := bytes.CutPrefix(line, []byte("NSpid:")); is {
			return len(bytes.Fields(numbers)) == 1
		}
	}
	return true // a kernel without containers
}

func isOurs(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Geteuid()
}
