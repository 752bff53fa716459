package bed

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// namespace is a network namespace without a name, and the threads that live in it.
type namespace struct {
	name string
	file *os.File // the namespace
	fd   int      // that of file; setns takes it

	linkMu sync.Mutex      // keeps requests with several steps whole
	link   *netlink.Handle // rtnetlink socket inside; nil when closed; guarded by linkMu

	threads sync.WaitGroup

	mu     sync.Mutex
	idle   []chan job // threads that wait for work
	closed bool
}

// job is one call of Do.
type job struct {
	fn   func() error
	done chan error // buffered, one answer
}

// newNamespace makes a namespace and its first thread.
func newNamespace(name string) (*namespace, error) {
	n := &namespace{name: name}
	err := n.start(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make network namespace %s: %w", name, err)
		}
		if n.file, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return fmt.Errorf("open network namespace %s: %w", name, err)
		}
		n.fd = int(n.file.Fd())
		if n.link, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
			return fmt.Errorf("open netlink in %s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

// do runs fn on a thread of the namespace.
func (n *namespace) do(fn func() error) error {
	jobs, err := n.take()
	if err != nil {
		return err
	}
	j := job{fn: fn, done: make(chan error, 1)}
	jobs <- j
	return <-j.done
}

// netlink runs fn, which may change links, addresses and routes of the namespace.
func (n *namespace) netlink(fn func(*netlink.Handle) error) error {
	n.linkMu.Lock()
	defer n.linkMu.Unlock()
	if n.link == nil {
		return errClosed
	}
	return fn(n.link)
}

// take returns a waiting thread, or starts another if all are busy.
func (n *namespace) take() (chan job, error) {
	for {
		n.mu.Lock()
		if n.closed {
			n.mu.Unlock()
			return nil, fmt.Errorf("use %s: %w", n.name, errClosed)
		}
		if last := len(n.idle) - 1; last >= 0 {
			jobs := n.idle[last]
			n.idle = n.idle[:last]
			n.mu.Unlock()
			return jobs, nil
		}
		n.mu.Unlock()
		err := n.start(func() error {
			return os.NewSyscallError("setns", unix.Setns(n.fd, unix.CLONE_NEWNET))
		})
		if err != nil {
			return nil, fmt.Errorf("enter %s: %w", n.name, err)
		}
	}
}

// start starts a thread, which runs enter and then waits for work.
func (n *namespace) start(enter func() error) error {
	entered := make(chan error, 1)
	n.threads.Add(1)
	onNewThread(func() {
		defer n.threads.Done()
		err := enter()
		jobs := make(chan job)
		if err == nil && !n.put(jobs) {
			err = errClosed
		}
		entered <- err
		if err == nil {
			n.serve(jobs)
		}
	})
	return <-entered
}

// serve runs what comes in until close.
func (n *namespace) serve(jobs chan job) {
	for j := range jobs {
		if !n.run(j, jobs) {
			return
		}
	}
}

// run runs one job and, before it answers, makes the thread available again. It reports
// whether the thread is still wanted.
func (n *namespace) run(j job, jobs chan job) (wanted bool) {
	err := errors.New("the function ended its goroutine (runtime.Goexit, t.FailNow)")
	defer func() { j.done <- err }()
	err = j.fn()
	return n.put(jobs)
}

// put makes a thread available. It reports false if the namespace is closed.
func (n *namespace) put(jobs chan job) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.closed {
		n.idle = append(n.idle, jobs)
	}
	return !n.closed
}

// close ends the threads, waits for them and lets go of the namespace.
func (n *namespace) close() error {
	n.mu.Lock()
	idle := n.idle
	n.idle, n.closed = nil, true
	n.mu.Unlock()
	for _, jobs := range idle {
		close(jobs)
	}
	n.threads.Wait()
	n.linkMu.Lock()
	defer n.linkMu.Unlock()
	if n.link != nil {
		n.link.Close()
		n.link = nil
	}
	if n.file == nil {
		return nil
	}
	err := n.file.Close()
	n.file = nil
	return err
}

// onNewThread starts a goroutine that owns its thread and never gives it back, so the thread
// ends with the goroutine and cannot carry a foreign namespace into other code. It is never
// the process's main thread: that one cannot end, and /proc/PID/ns shows its namespaces.
func onNewThread(fn func()) {
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			fn()
			return
		}
		locked := make(chan struct{})
		go func() {
			// The main thread is taken by the goroutine above, so this is another one.
			runtime.LockOSThread()
			close(locked)
			fn()
		}()
		<-locked
		runtime.UnlockOSThread()
	}()
}
