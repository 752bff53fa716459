package e2e

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/agent/profile"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
	"github.com/ownline/ownline/test/world/worldtest"
)

// Invariants 3 and 4: the agent opens what is its own, keeps it open past the end of a session, follows its machine
// to another address at once, because the kernel says so, and what it opened ends once it has stopped.
func TestAgent(t *testing.T) {
	const port, automatic = 20910, 10 * time.Second
	s := start(t, world.Options{WebYAML: "sessions: {automatic: " + automatic.String() + ", roaming_overlap: 1s}\n"})
	s.grant(s.echo, world.Map{"automatic": true, "public_port": port})
	client, public := s.Bed.Client1, s.public(false, port)
	p, err := ownline.ParseProfile(s.device().Profile)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "ownline")
	if err := (profile.Store{Dir: filepath.Join(dir, "profiles")}).Save("home", p, profile.InFile, false); err != nil {
		t.Fatal(err)
	}
	wantState(t, client, public, false)

	said, err := os.Create(filepath.Join(dir, "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	ctx := context.WithoutCancel(t.Context())
	agent := client.Command(ctx, programs.CLI, "agent", "run", "--config-dir", dir, "--log-level", "debug")
	agent.Stderr = said
	if err := client.Start(agent); err != nil {
		t.Fatal(err)
	}
	log := func() string {
		b, err := os.ReadFile(said.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the agent says:\n%s", worldtest.Tail(log()))
		}
	})
	open := func() bool { return reach(client, public) == bed.Open }
	eventually(t, patience, "open", open)
	wantState(t, s.Bed.Client2, public, false)
	wantState(t, s.Bed.Stranger, public, false)

	time.Sleep(automatic + time.Second)
	eventually(t, patience, "renewed", open)
	if strings.Contains(log(), "reason=network") {
		t.Error("the network has not changed")
	}

	// The machine moves: its first address goes, the second takes over.
	before, after := client.IPv4s[0], client.IPv4s[1]
	if err := client.DelAddr("eth0", netip.PrefixFrom(before, 25)); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "open for the new address", open)
	eventually(t, patience, "told by the kernel", func() bool { return strings.Contains(log(), "reason=network") })
	eventually(t, patience, "shut for the old address", func() bool {
		live, err := s.API.Live(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return len(live) == 1 && live[0].Source.Addr() == after
	})

	if err := agent.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := agent.Wait(); err != nil {
		t.Errorf("asked to stop, the agent ends with %v", err)
	}
	eventually(t, patience, "shut after the agent has stopped", func() bool { return !open() })
	wantState(t, s.Bed.Client2, public, false)
}
