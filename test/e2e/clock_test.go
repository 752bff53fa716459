package e2e

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/agent/profile"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

// wall has package time add to the wall clock, and to nothing else, the nanoseconds that a file holds.
const wall = `package time

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

var wallShift = func() *int64 {
	path, _ := syscall.Getenv("OWNLINE_TEST_CLOCK")
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	defer syscall.Close(fd)
	b, err := syscall.Mmap(fd, 0, 16, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	return (*int64)(unsafe.Pointer(&b[0]))
}()

func shifted() (int64, int32, int64) {
	sec, nsec, mono := runtimeNow()
	return sec + atomic.LoadInt64(wallShift), nsec, mono
}
`

// synced has the same file say whether the kernel's clock is synchronised.
const synced = `package trustclock

import (
	"encoding/binary"
	"os"
)

func synchronised() bool {
	b, err := os.ReadFile(os.Getenv("OWNLINE_TEST_CLOCK"))
	return err == nil && binary.NativeEndian.Uint64(b[8:]) != 0
}
`

// routerClock is the clock of a core whose programs are the real ones but for it.
type routerClock struct {
	t    *testing.T
	path string
}

// set moves the wall clock away from ours, and says whether it is synchronised.
func (c routerClock) set(away time.Duration, synced bool) {
	c.t.Helper()
	b := binary.NativeEndian.AppendUint64(nil, uint64(int64(away/time.Second)))
	f, err := os.OpenFile(c.path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	defer f.Close()
	var is uint64
	if synced {
		is = 1
	}
	if _, err := f.WriteAt(binary.NativeEndian.AppendUint64(b, is), 0); err != nil { // in place: core has it mapped
		c.t.Fatal(err)
	}
}

// buildWithClock builds core with package time and the question to the kernel replaced. Nothing of it is
// in the program that people run.
func buildWithClock(t *testing.T) (string, routerClock) {
	t.Helper()
	dir := t.TempDir()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	std := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	source, err := os.ReadFile(filepath.Join(std, "time.go"))
	if err != nil {
		t.Fatal(err)
	}
	const asks = "sec, nsec, mono := runtimeNow()\n\tif mono == 0 {"
	if strings.Count(string(source), asks) != 1 {
		t.Fatal("package time asks for the time in another way than this test knows")
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	replace := map[string]string{}
	for path, text := range map[string]string{
		filepath.Join(std, "time.go"):                                         strings.Replace(string(source), asks, strings.Replace(asks, "runtimeNow", "shifted", 1), 1),
		filepath.Join(std, "wall.go"):                                         wall,
		filepath.Join(here, "../../internal/core/trustclock/synced_linux.go"): synced,
	} {
		replace[path] = filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(replace[path], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file, program := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "ownline-core")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", "noproxy", "-trimpath", "-overlay", file, "-o", program, "github.com/ownline/ownline/cmd/ownline-core")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build core with another clock: %v\n%s", err, out)
	}
	c := routerClock{t, filepath.Join(dir, "clock")}
	c.set(0, false)
	t.Setenv("OWNLINE_TEST_CLOCK", c.path)
	return program, c
}

// Invariant 2 and "Whose clock": a router that boots in 1970 opens nothing before web has told it the time,
// and takes knocks from then on, whatever its own clock does, synchronised or not. Building core anew takes
// half a minute of a processor, so it is a part of make soak.
func TestRouterClock(t *testing.T) {
	if os.Getenv(soakVariable) == "" {
		t.Skip("takes long; set " + soakVariable)
	}
	program, clock := buildWithClock(t)
	with := programs
	with.Core = program
	in1970 := time.Hour - time.Duration(time.Now().UnixNano())
	clock.set(in1970, false)
	s := start(t, world.Options{Programs: with})
	const port = 20950
	s.grant(s.echo, world.Map{"automatic": true, "public_port": port})
	client, public := s.Bed.Client1, s.public(false, port)
	device := s.device()
	p, err := ownline.ParseProfile(device.Profile)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "ownline")
	if err := (profile.Store{Dir: filepath.Join(dir, "profiles")}).Save("home", p, profile.InFile, false); err != nil {
		t.Fatal(err)
	}
	// The real client knocks, and sees how far the site's clock is from its own.
	knocked := func() bool {
		var out bytes.Buffer
		cmd := client.Command(t.Context(), programs.CLI, "knock", "--json", "--config-dir", dir, "--timeout", "3s")
		cmd.Stdout = &out
		err := client.Run(cmd)
		var got struct {
			Replies []struct {
				Status string
				SkewMS int64 `json:"skew_ms"`
			}
		}
		if json.Unmarshal(out.Bytes(), &got) != nil || err != nil {
			return false
		}
		for _, r := range got.Replies {
			if r.Status == "opened" || r.Status == "renewed" {
				if r.SkewMS < -20_000 || r.SkewMS > 20_000 {
					t.Errorf("the client is told that its clock is %d ms off", r.SkewMS)
				}
				return true
			}
		}
		return false
	}
	refused := func(why string) {
		t.Helper()
		n := device.Knock()
		if _, err := device.Send(client, s.KnockAddr(false), n, 700*time.Millisecond); err == nil {
			t.Errorf("%s: a knock is answered", why)
		}
	}
	whose := func(want string) {
		t.Helper()
		eventually(t, patience, "the clock is "+want, func() bool { return s.status().Clock.Source == want })
		off := time.Until(s.status().Clock.Now)
		if want != "unknown" && off.Abs() > 20*time.Second {
			t.Errorf("the clock of %s is %v off", want, off)
		}
	}
	whose("web")
	if year := s.status().Started.Year(); year != 1970 {
		t.Fatalf("core started in %d: its clock was not moved", year)
	}

	// It boots again, and web is away.
	if err := s.Web.Stop(patience); err != nil {
		t.Fatal(err)
	}
	if err := s.Core.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.Core.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "core answers", func() bool { _, err := s.CoreCommand(t.Context(), "status", "--json"); return err == nil })
	whose("unknown")
	if why := s.status().Clock.Why; !strings.Contains(why, "web has not told the time") {
		t.Errorf("the status says %q", why)
	}
	refused("no time is known")
	wantState(t, client, public, false)

	if err := s.Web.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	whose("web")
	eventually(t, patience, "a knock is taken from the first contact on", knocked)
	eventually(t, patience, "open", func() bool { return reach(client, public) == bed.Open })
	wantState(t, s.Bed.Client2, public, false)

	// NTP jumps, and only then says that it is right; later it is lost, and the clock runs away.
	for _, step := range []struct {
		away   time.Duration
		synced bool
		source string
	}{{0, false, "web"}, {0, true, "system"}, {time.Hour, false, "web"}, {in1970, false, "web"}} {
		clock.set(step.away, step.synced)
		whose(step.source)
		if up := s.status().Up; up <= 0 || up > time.Hour {
			t.Errorf("%+v: core is up for %v", step, up)
		}
		wantState(t, client, public, true) // what was open stays so
		eventually(t, patience, fmt.Sprintf("a knock at %+v", step), knocked)
		late := device.Knock()
		late.Time = late.Time.Add(-2 * time.Hour)
		if _, err := device.Send(client, s.KnockAddr(false), late, 300*time.Millisecond); err == nil {
			t.Errorf("%+v: a knock of two hours ago is answered", step)
		}
	}
	wantState(t, s.Bed.Client2, public, false)
}
