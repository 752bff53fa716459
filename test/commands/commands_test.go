// Package commands holds scripts that run the real programs ownline-web and ownline, with a
// model of a core at the other end of the link: no network but loopback.
package commands

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"rsc.io/qr"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/web/sites/coretest"
	"github.com/ownline/ownline/test/freeport"
)

// client is where people and devices seem to come from.
const client = "198.51.100.7"

func TestScripts(t *testing.T) {
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin+"/", "github.com/ownline/ownline/cmd/ownline-web", "github.com/ownline/ownline/cmd/ownline")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("OWNLINE_CONFIG_DIR", filepath.Join(env.WorkDir, "ownline"))
			s := &stage{t: t, watches: map[string]*exec.Cmd{}}
			env.Values[stageKey{}] = s
			return s.setup(env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve":   serve,
			"exit":    exit,
			"door":    door,
			"idof":    idOf,
			"watch":   watch,
			"watched": watched,
			"picture": picture,
			"echoing": echoing,
			"unused": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Setenv(args[0], fmt.Sprint(freeport.Addr(ts.Value(stageKey{}).(*stage).t).Port()))
			},

			"lines":     lines,
			"append":    appendLines,
			"keep":      keep,
			"code":      code,
			"browser":   browser,
			"passkey":   passkey,
			"messenger": messenger,
			"moment":    func(*testscript.TestScript, bool, []string) { time.Sleep(600 * time.Millisecond) },
		},
	})
}

type stageKey struct{}

// stage is what stands around a script: a core with $CODE to pair with, and $URL, by which
// the server sees requests come from the client's address.
type stage struct {
	t    testing.TB
	core *coretest.Server
	web  string // "HOST:PORT" where ownline-web is to listen

	watches map[string]*exec.Cmd
}

// authority is what the core's proxy would prove itself by.
const authority = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"

func (s *stage) setup(env *testscript.Env) error {
	s.core = coretest.Serve(s.t, coretest.New("token"))
	s.core.SetProxy(link.Proxy{Driver: "embedded", Domain: "home.example.org", Port: 9999, OK: true, Root: authority})
	env.Setenv("CODE", s.core.Code("token"))
	s.web = freeport.Addr(s.t).String()
	env.Setenv("WEB", s.web)
	front := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: s.web})
		r.Out.Header.Set("X-Forwarded-For", client)
	}})
	env.Defer(front.Close)
	env.Setenv("URL", front.URL)
	yaml := fmt.Sprintf("state_dir: %q\nlisten: %q\ntrusted_proxies: [127.0.0.1]\nlog: {level: warn}\n", filepath.Join(env.WorkDir, "state"), s.web)
	return os.WriteFile(filepath.Join(env.WorkDir, "web.yaml"), []byte(yaml), 0o600)
}

// serve runs ownline-web until the script ends.
func serve(ts *testscript.TestScript, _ bool, _ []string) {
	s := ts.Value(stageKey{}).(*stage)
	cmd := exec.Command(filepath.Join(filepath.SplitList(ts.Getenv("PATH"))[0], "ownline-web"), "serve", "--config", ts.MkAbs("web.yaml"))
	log, err := os.Create(ts.MkAbs("web.log"))
	ts.Check(err)
	cmd.Stdout, cmd.Stderr = log, log
	ts.Check(cmd.Start())
	ts.Defer(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			s.t.Errorf("ownline-web: %v", err)
		}
		log.Close()
	})
	for range 600 {
		resp, err := http.Get("http://" + s.web + "/readyz")
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("ownline-web does not become ready")
}

// exit CODE COMMAND…: the command ends with that exit code.
func exit(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		code = e.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit code %d, not %s", code, args[0])
	}
}

// idof VARIABLE keeps the first "id" of the last command's JSON.
func idOf(ts *testscript.TestScript, _ bool, args []string) {
	m := regexp.MustCompile(`"id": "([^"]+)"`).FindStringSubmatch(ts.ReadFile("stdout"))
	if m == nil {
		ts.Fatalf("there is no id in it")
	}
	ts.Setenv(args[0], m[1])
}

// watch NAME COMMAND… runs a command beside the script, until watched; it begins once the
// command has said something.
func watch(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(stageKey{}).(*stage)
	cmd := exec.Command(filepath.Join(filepath.SplitList(ts.Getenv("PATH"))[0], args[1]), args[2:]...)
	cmd.Env = append(os.Environ(), "OWNLINE_CONFIG_DIR="+ts.Getenv("OWNLINE_CONFIG_DIR"))
	out, err := os.Create(ts.MkAbs(args[0] + ".out"))
	ts.Check(err)
	said, err := cmd.StderrPipe()
	ts.Check(err)
	cmd.Stdout = out
	ts.Check(cmd.Start())
	s.watches[args[0]] = cmd
	ts.Defer(func() {
		_ = cmd.Process.Kill() // unless it was watched
		out.Close()
	})
	line, err := bufio.NewReader(said).ReadString('\n')
	ts.Logf("%s%v", line, err)
	time.Sleep(600 * time.Millisecond) // the stream begins a moment later
}

// watched NAME ends what watch began, which must end well, and has its output for stdout.
func watched(ts *testscript.TestScript, _ bool, args []string) {
	cmd := ts.Value(stageKey{}).(*stage).watches[args[0]]
	ts.Check(cmd.Process.Signal(os.Interrupt))
	ts.Check(cmd.Wait())
	ts.Check(ts.Exec("cat", ts.MkAbs(args[0]+".out")))
}

// echoing VARIABLE serves what is sent to it, on the port that the variable then holds.
func echoing(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], fmt.Sprint(l.Addr().(*net.TCPAddr).Port))
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				_, _ = io.Copy(conn, conn) // until the other end is done
				conn.Close()
			})
		}
	})
	ts.Defer(func() {
		l.Close()
		wg.Wait()
	})
}

// picture TEXTFILE IMAGE draws the first line of a file as a QR code.
func picture(ts *testscript.TestScript, _ bool, args []string) {
	text, _, _ := strings.Cut(ts.ReadFile(args[0]), "\n")
	code, err := qr.Encode(text, qr.L)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), code.PNG(), 0o600))
}

// door takes knocks by UDP, as the model's router would, from the client's address, and
// sets $KNOCK_PORT.
func door(ts *testscript.TestScript, _ bool, _ []string) {
	s := ts.Value(stageKey{}).(*stage)
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	ts.Check(err)
	ts.Setenv("KNOCK_PORT", fmt.Sprint(conn.LocalAddr().(*net.UDPAddr).Port))
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.takeKnocks(ctx, conn) })
	ts.Defer(func() {
		cancel()
		conn.Close()
		wg.Wait()
	})
}

func (s *stage) takeKnocks(ctx context.Context, conn *net.UDPConn) {
	var buf [2000]byte
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf[:])
		if err != nil {
			return
		}
		if n != knock.Size {
			continue
		}
		if answer, ok := s.judge(ctx, knock.Packet(buf[:n])); ok {
			_, _ = conn.WriteToUDPAddrPort(answer[:], from)
		}
	}
}

func (s *stage) judge(ctx context.Context, p knock.Packet) (knock.Packet, bool) {
	for id, d := range s.core.Devices() {
		keys, err := knock.DeriveKeys(d.Secret, s.core.Status(ctx).Site)
		if err != nil {
			continue
		}
		try := p
		k, err := keys.Open(&try)
		if err != nil {
			continue
		}
		verdict, err := s.core.Knock(link.Knocked{
			Device: id, Nonce: k.Nonce[:], Made: k.Time, Source: netip.MustParseAddr(client), Service: k.Service,
			Duration: k.Duration, Claimed: k.Claimed, Skew: time.Minute,
		})
		if err != nil || !k.AnswerWanted {
			return p, false
		}
		select {
		case v := <-verdict:
			a := knock.Answer{Status: v.Status, Sessions: uint16(len(v.Sessions)), Time: time.Now(), Source: netip.MustParseAddr(client)}
			for _, session := range v.Sessions {
				a.Expires = session.Expires
			}
			var nonce knock.Nonce
			rand.Read(nonce[:])
			return keys.SealAnswer(k.Nonce, nonce, a), true
		case <-time.After(20 * time.Second):
			return p, false
		case <-ctx.Done():
			return p, false
		}
	}
	return p, false
}
