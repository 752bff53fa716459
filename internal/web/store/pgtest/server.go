package pgtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// Server is a PostgreSQL server with a folder of its own. It ends, and the folder goes,
// when it is closed or this process ends, however that happens.
type Server struct {
	dir      string // of the data, the socket and the log
	bin      string
	password string
	durable  bool
	owner    *owner

	mu    sync.Mutex
	stdin io.Closer // closing it ends the server that runs
	exit  chan error
	made  int
}

// Options are how a server runs.
type Options struct {
	// Durable has commits reach the disk, as they do where it matters; tests that don't
	// measure are faster without.
	Durable bool
}

// shared is the server of the tests of one program, which runs until the program ends.
var shared = sync.OnceValues(func() (*Server, error) { return Start(Options{}) })

// Database makes an empty database on the server that the tests of this program share, and
// returns its address. It is dropped at the end of the test.
func Database(tb testing.TB) string {
	tb.Helper()
	s, err := shared()
	if err != nil {
		tb.Fatal(err)
	}
	return s.Database(tb)
}

// Start makes a server and starts it.
func Start(o Options) (_ *Server, err error) {
	s := &Server{password: rand.Text(), durable: o.Durable}
	if s.bin, err = programs(); err != nil {
		return nil, err
	}
	if s.owner, err = unprivileged(); err != nil {
		return nil, err
	}
	// Not by TMPDIR: the path of a socket must be short.
	if s.dir, err = os.MkdirTemp("/tmp", "ownline-pg-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(s.dir)
		}
	}()
	secret := filepath.Join(s.dir, "password")
	if err := os.WriteFile(secret, []byte(s.password+"\n"), 0o600); err != nil {
		return nil, err
	}
	for _, name := range []string{s.dir, secret} {
		if err := s.owner.own(name); err != nil {
			return nil, err
		}
	}
	// A language that orders words otherwise than bytes: nothing of ours may depend on it.
	initdb := exec.Command(filepath.Join(s.bin, "initdb"), "-D", filepath.Join(s.dir, "data"), "-U", "admin", "--pwfile", secret,
		"--auth=scram-sha-256", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US")
	initdb.Dir = s.dir
	s.owner.run(initdb)
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if err := s.Up(); err != nil {
		return nil, err
	}
	// The program must need no more rights than a database of its own gives.
	return s, s.admin("CREATE ROLE ownline LOGIN PASSWORD '" + s.password + "'")
}

// Up starts the server, which is down, and waits until it answers.
func (s *Server) Up() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	args := []string{
		filepath.Join(s.bin, "postgres"), "-D", filepath.Join(s.dir, "data"), "-k", s.dir, "-c", "listen_addresses=",
		"-c", "max_connections=100", "-c", "shared_buffers=64MB",
	}
	if !s.durable {
		args = append(args, "-c", "fsync=off", "-c", "full_page_writes=off")
	}
	// The shell ends the server when its input ends, which it does when we do.
	cmd := exec.Command("sh", append([]string{"-c", `
		"$@" >"$0"/log 2>&1 </dev/null & pid=$!
		read -r how
		if [ "$how" = down ]; then kill -QUIT $pid; wait $pid; exit 0; fi
		kill -QUIT $pid; wait $pid; rm -rf "$0"`, s.dir}, args...)...)
	cmd.Dir = s.dir
	s.owner.run(cmd)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.stdin, s.exit = stdin, make(chan error, 1)
	go func(exit chan<- error) { exit <- cmd.Wait() }(s.exit)
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		err := s.admin("SELECT 1")
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("PostgreSQL did not start: %w\n%s", err, log)
		}
	}
}

// Down stops the server as a crash does; Up starts it again.
func (s *Server) Down() error { return s.end("down\n") }

// Close stops the server and removes its folder.
func (s *Server) Close() error {
	err := s.end("")
	return errors.Join(err, os.RemoveAll(s.dir))
}

func (s *Server) end(how string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stdin == nil {
		return nil
	}
	w := s.stdin.(io.WriteCloser)
	_, err := io.WriteString(w, how)
	err = errors.Join(err, w.Close(), <-s.exit)
	s.stdin = nil
	return err
}

// Database makes an empty database and returns its address. It is dropped at the end of the
// test.
func (s *Server) Database(tb testing.TB) string {
	tb.Helper()
	name, err := s.Create()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.admin("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)"); err != nil {
			tb.Error(err)
		}
	})
	return s.Address(name)
}

// Create makes an empty database and returns its name.
func (s *Server) Create() (string, error) {
	s.mu.Lock()
	s.made++
	name := "test" + strconv.Itoa(s.made)
	s.mu.Unlock()
	return name, s.admin("CREATE DATABASE " + name + " OWNER ownline")
}

// Address returns the address of a database for the program.
func (s *Server) Address(name string) string { return s.address("ownline", name) }

func (s *Server) address(as, name string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(as, s.password), Path: "/" + name, RawQuery: url.Values{"host": {s.dir}}.Encode()}
	return u.String()
}

// admin runs one statement as who may do anything.
func (s *Server) admin(q string) (err error) {
	db, err := sql.Open("pgx", s.address("admin", "postgres"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err = db.ExecContext(ctx, q)
	return err
}

// programs finds the folder of the newest PostgreSQL that is installed. Debian keeps it off
// the PATH.
func programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		version := func(path string) int {
			n, _ := strconv.Atoi(strings.Split(path, "/")[4])
			return n
		}
		slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
		return filepath.Dir(found[len(found)-1]), nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", errors.New("PostgreSQL is not installed: run make database, or apt-get install postgresql")
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", err
	}
	return filepath.Dir(path), nil
}

// owner is as whom the server runs, which PostgreSQL refuses to do as root; nil: as we do.
type owner struct{ uid, gid int }

func unprivileged() (*owner, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uerr := strconv.Atoi(u.Uid)
		gid, gerr := strconv.Atoi(u.Gid)
		return &owner{uid, gid}, errors.Join(uerr, gerr)
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody")
}

func (o *owner) own(path string) error {
	if o == nil {
		return nil
	}
	return os.Chown(path, o.uid, o.gid)
}
