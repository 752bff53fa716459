package bed_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

// victimEnv makes the test program another one: "bed" makes a bed and waits to be killed,
// "sleep" just waits, "exit" ends with the code 7, "term" says that it has got a SIGTERM.
const victimEnv = "OWNLINE_BED_TEST_VICTIM"

// outerEnv tells a test program run by TestWithoutRoot which network namespace is around it.
const outerEnv = "OWNLINE_BED_TEST_OUTER"

// world is what a victim tells of its bed.
type world struct {
	Threads    []int    // one for each host
	Namespaces []string // the same, as /proc shows them
	Child      int      // a process on one of the hosts
}

func victim() {
	err := bed.Enter()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	switch os.Getenv(victimEnv) {
	case "exit":
		os.Exit(7)
	case "sleep":
		fmt.Println("ready")
	case "bed":
		err = victimWithBed()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	time.Sleep(time.Minute)
}

func victimWithBed() error {
	b, err := bed.New(context.Background())
	if err != nil {
		return err
	}
	var w world
	for _, h := range b.Hosts() {
		err := h.Do(func() error {
			ns, err := os.Readlink("/proc/thread-self/ns/net")
			w.Threads = append(w.Threads, unix.Gettid())
			w.Namespaces = append(w.Namespaces, ns)
			return err
		})
		if err != nil {
			return err
		}
	}
	cmd := again("sleep")
	if err := b.Lan.Start(cmd); err != nil {
		return err
	}
	w.Child = cmd.Process.Pid
	if _, err := b.StartServers(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(w)
}

// again is this test program in another role.
func again(role string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), victimEnv+"="+role)
	cmd.Stderr = os.Stderr
	return cmd
}

// A process that is killed leaves neither namespaces nor processes behind. Each of its
// namespaces holds one end of a cable whose other end is ours: the kernel takes a cable away
// when either namespace ends, and only then.
func TestKilledProcessLeavesNothing(t *testing.T) {
	b := bedtest.New(t)
	cmd := again("bed")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	reap := sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	defer reap()
	var w world
	if err := json.NewDecoder(out).Decode(&w); err != nil {
		t.Fatal(err)
	}
	if distinct := slices.Compact(slices.Sorted(slices.Values(w.Namespaces))); len(distinct) != 6 {
		t.Fatalf("%d namespaces, want 6: %v", len(distinct), w.Namespaces)
	}
	for i, tid := range w.Threads {
		ns, err := os.Open(fmt.Sprintf("/proc/%d/task/%d/ns/net", cmd.Process.Pid, tid))
		if err != nil {
			t.Fatal(err)
		}
		err = b.Internet.Do(func() error {
			return netlink.LinkAdd(&netlink.Veth{
				LinkAttrs: netlink.LinkAttrs{Name: "mine" + strconv.Itoa(i)},
				PeerName:  "yours", PeerNamespace: netlink.NsFd(ns.Fd()),
			})
		})
		ns.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	before := holders(t, w.Namespaces)
	if !slices.Contains(before, cmd.Process.Pid) || !slices.Contains(before, w.Child) {
		t.Fatalf("namespaces held by %v, want the victim %d and its child %d", before, cmd.Process.Pid, w.Child)
	}
	if n := mine(t, b.Internet); n != 6 {
		t.Fatalf("%d cables before the kill, want 6", n)
	}

	reap() // kill -9

	eventually(t, "namespaces gone", func() bool { return mine(t, b.Internet) == 0 })
	eventually(t, "child gone", func() bool { return !alive(w.Child) })
	for _, pid := range holders(t, w.Namespaces) {
		// Numbers are used again; only who was there before can be a leftover.
		if slices.Contains(before, pid) {
			t.Errorf("process %d still holds a namespace of the bed", pid)
		}
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	watcher := bedtest.New(t)
	b, err := bed.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.StartServers()
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range b.Hosts() {
		err := watcher.Internet.Do(func() error {
			return netlink.LinkAdd(&netlink.Veth{
				LinkAttrs: netlink.LinkAttrs{Name: "mine" + strconv.Itoa(i)},
				PeerName:  "yours", PeerNamespace: netlink.NsFd(h.Fd()),
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	flow, err := b.Router.StartFlow(t.Context(), "tcp", s.TCP.Addrs[0], bed.FlowOptions{})
	if err != nil {
		t.Fatal(err)
	}
	capture, err := b.Router.Capture("lan0", bed.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	cmd := again("sleep")
	if err := b.Lan.Start(cmd); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the process ended by itself, want killed")
	}
	eventually(t, "namespaces gone", func() bool { return mine(t, watcher.Internet) == 0 })
	flow.Stop()
	if err := capture.Close(); err != nil {
		t.Error(err)
	}
	if err := b.Lan.Do(func() error { return nil }); err == nil {
		t.Error("Do works after Close")
	}
	if _, err := b.Lan.TCPEcho(99); err == nil {
		t.Error("a server starts after Close")
	}
	if err := b.Lan.SetLink("lo", false); err == nil {
		t.Error("SetLink works after Close")
	}
}

// mine counts the cables that this test has laid from a host.
func mine(t *testing.T, h *bed.Host) int {
	t.Helper()
	n := 0
	err := h.Do(func() error {
		links, err := netlink.LinkList()
		for _, l := range links {
			if strings.HasPrefix(l.Attrs().Name, "mine") {
				n++
			}
		}
		return err
	})
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		t.Fatal(err)
	}
	return n
}

// holders returns the processes with a thread in one of the namespaces.
func holders(t *testing.T, namespaces []string) []int {
	t.Helper()
	tasks, err := filepath.Glob("/proc/[0-9]*/task/[0-9]*/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, task := range tasks {
		ns, err := os.Readlink(task)
		if err != nil || !slices.Contains(namespaces, ns) {
			continue // ended meanwhile, somebody else's, or another namespace
		}
		pid, err := strconv.Atoi(strings.Split(task, "/")[2])
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

// alive tells whether a process runs; one that only waits for its parent does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// nobody makes a command run as a user without rights, and from a file that this user can
// reach wherever the test program lies.
func nobody(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	program, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	cmd.ExtraFiles = []*os.File{program}
	cmd.Path = "/proc/self/fd/3"
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: 65534, Gid: 65534},
		Pdeathsig:  syscall.SIGKILL,
	}
}

// needRoot skips where the tests run in a user namespace already, which shows what the
// rootless tests would show.
func needRoot(t *testing.T) {
	t.Helper()
	m, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	if f := strings.Fields(string(m)); len(f) != 3 || f[0] != "0" || f[2] == "1" {
		t.Skip("these tests run without root already")
	}
}

// The tests of this package pass as an ordinary user, with real packets.
func TestWithoutRoot(t *testing.T) {
	bedtest.Need(t)
	needRoot(t)
	cmd := exec.Command("/proc/self/exe", "-test.v")
	outer, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), outerEnv+"="+outer)
	nobody(t, cmd)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"--- PASS: TestWhoReachesWhom", "--- PASS: TestServers", "--- PASS: TestFlow", "--- PASS: TestCapture", "--- PASS: TestSpoof",
		"--- PASS: TestKilledProcessLeavesNothing", "--- PASS: TestUserNamespace", "uid_map: 0 65534 1",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}

// TestUserNamespace says whether the tests run as root, and that the network around them is
// the host's either way.
func TestUserNamespace(t *testing.T) {
	m, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	t.Log("uid_map: " + strings.Join(strings.Fields(string(m)), " "))
	outer := os.Getenv(outerEnv)
	if outer == "" {
		return // not run by TestWithoutRoot
	}
	if inner, err := os.Readlink("/proc/self/ns/net"); err != nil || inner != outer {
		t.Errorf("network namespace %s, %v; around us it is %s", inner, err, outer)
	}
}

func TestEnterPassesOnExitCodeAndSignals(t *testing.T) {
	bedtest.Need(t)
	needRoot(t)
	t.Run("exit code", func(t *testing.T) {
		cmd := again("exit")
		nobody(t, cmd)
		var exit *exec.ExitError
		if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 7 {
			t.Errorf("ended with %v, want exit status 7", err)
		}
	})
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(s.String(), func(t *testing.T) {
			cmd := again("sleep")
			nobody(t, cmd)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
				t.Fatalf("read %q, %v", line, err)
			}
			inner := childOf(t, cmd.Process.Pid)
			if err := cmd.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // how it ended is looked at below
			if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != s {
				t.Errorf("ended with %v, want %v", cmd.ProcessState, s)
			}
			eventually(t, "inner process gone", func() bool { return !alive(inner) })
		})
	}
}

// childOf returns the one child of a process.
func childOf(t *testing.T, pid int) int {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range files {
		list, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.Fields(string(list))...)
	}
	if len(all) != 1 {
		t.Fatalf("children of %d: %v, want one", pid, all)
	}
	child, err := strconv.Atoi(all[0])
	if err != nil {
		t.Fatal(err)
	}
	return child
}
