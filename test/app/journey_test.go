package app

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
	"github.com/ownline/ownline/test/world/worldtest"
)

// browser is an HTTP client in the LAN to which all names lead to the router.
func (h *house) browser() *http.Client {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return h.Bed.Lan.DialContext(ctx, network, netip.AddrPortFrom(h.Bed.Router.IPv4, world.ProxyPort).String())
	}
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: h.roots}, DisableKeepAlives: true,
	}}
}

// hosts are those that browsers run on.
func (h *house) hosts() map[string]*bed.Host {
	return map[string]*bed.Host{"client1": h.Bed.Client1, "client2": h.Bed.Client2, "stranger": h.Bed.Stranger, "lan": h.Bed.Lan}
}

// chromium writes a program for every host that starts Chromium there.
func (h *house) chromium(dir string) (map[string]string, error) {
	programs := make(map[string]string)
	for name, host := range h.hosts() {
		programs[name] = filepath.Join(dir, "chromium-"+name)
		text := fmt.Sprintf("#!/bin/sh\nexec nsenter --net=/proc/%d/fd/%d /usr/bin/chromium \"$@\"\n", os.Getpid(), host.Fd())
		if err := os.WriteFile(programs[name], []byte(text), 0o700); err != nil {
			return nil, err
		}
	}
	return programs, nil
}

// names tells Chromium where names lead, those of the house to an address of the router.
func (h *house) names(router netip.Addr) string {
	at := router.String()
	if router.Is6() {
		at = "[" + at + "]"
	}
	return fmt.Sprintf("MAP *.%s %s, MAP %s %s, MAP %s %s", world.Domain, at, brokerName, h.Bed.Router.IPv4, addressName, addressAt.Addr())
}

// play runs a journey, and does what it asks of the world, a line of JSON each.
func (h *house) play(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath("/usr/bin/chromium"); err != nil {
		t.Fatalf("this test needs Debian's chromium, which `make test` installs: %v", err)
	}
	programs, err := h.chromium(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	told, err := json.Marshal(world.Map{
		"url": "https://" + ownName + ":9999", "router": h.Bed.Router.IPv4, "name": world.AdminName, "password": world.AdminPassword,
		"site": h.Site, "host": routerName, "chromium": programs, "spki": h.spki, "lan": h.Bed.Lan.IPv4, "shots": os.Getenv("OWNLINE_SCREENSHOTS"),
		"resolve": h.names(h.Bed.Router.IPv4), "resolve6": h.names(h.Bed.Router.IPv6),
		"detour":     fmt.Sprintf("MAP %s %s, %s", ownName, addressAt.Addr(), h.names(h.Bed.Router.IPv4)),
		"addresses":  world.Map{"client1": h.Bed.Client1.IPv4, "client2": h.Bed.Client2.IPv4, "stranger": h.Bed.Stranger.IPv4, "lan": h.Bed.Lan.IPv4},
		"addresses6": world.Map{"client1": h.Bed.Client1.IPv6, "client2": h.Bed.Client2.IPv6},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", name+".mjs", string(told))
	var said bytes.Buffer
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		answer, err := json.Marshal(h.answer(ctx, lines.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := in.Write(append(answer, '\n')); err != nil {
			break // it has gone; why, it says below
		}
	}
	if err := cmd.Wait(); err != nil || lines.Err() != nil {
		t.Fatalf("the journey %s: %v, %v\n%s", name, err, lines.Err(), worldtest.Tail(said.String()))
	}
}

// asked is a line of a journey.
type asked struct {
	ID   int
	Do   string
	Args []json.RawMessage
}

func (h *house) answer(ctx context.Context, line []byte) world.Map {
	var a asked
	if err := json.Unmarshal(line, &a); err != nil {
		return world.Map{"error": err.Error()}
	}
	value, err := h.do(ctx, a)
	if err != nil {
		return world.Map{"id": a.ID, "error": err.Error()}
	}
	return world.Map{"id": a.ID, "value": value}
}

// read fills in the arguments; those that are not there stay as they are.
func (a asked) read(into ...any) error {
	for i, to := range into[:min(len(into), len(a.Args))] {
		if err := json.Unmarshal(a.Args[i], to); err != nil {
			return fmt.Errorf("%s, argument %d: %w", a.Do, i, err)
		}
	}
	return nil
}

// do is all that a journey may ask of the world.
func (h *house) do(ctx context.Context, a asked) (any, error) {
	switch a.Do {
	case "call": // the API as admin, from the LAN: method, path, body
		var method, path string
		var body, out any
		if err := a.read(&method, &path, &body); err != nil {
			return nil, err
		}
		return out, h.API.Call(ctx, method, path, body, discarding(method, &out))
	case "stop", "kill", "start", "freeze", "thaw": // core, web or the broker
		var name string
		if err := a.read(&name); err != nil {
			return nil, err
		}
		return nil, h.power(ctx, a.Do, name)
	case "cut", "mend": // the detour: whether it is cut
		h.detour.cut(a.Do == "cut")
		return nil, nil
	case "reaches": // whether a TCP port of the router is open to a host: host, port
		var name string
		var port uint16
		if err := a.read(&name, &port); err != nil {
			return nil, err
		}
		host, ok := h.hosts()[name]
		if !ok {
			return nil, fmt.Errorf("there is no host %q", name)
		}
		return host.ConnectTCP(netip.AddrPortFrom(h.Bed.Router.IPv4, port), time.Second).State == bed.Open, nil
	case "edit": // web.yaml, which counts from the next start on: what stands there, what is to stand there
		var old, new string
		if err := a.read(&old, &new); err != nil {
			return nil, err
		}
		return nil, h.edit(old, new)
	case "begin": // both programs with nothing in them; returns the setup URL
		return h.begin(ctx)
	case "enter": // the admin is there, and core is paired: from now on the world is what it was
		if err := h.API.Login(ctx, world.AdminName, world.AdminPassword); err != nil {
			return nil, err
		}
		return nil, h.WaitConnected(ctx)
	case "code": // a pairing code of core
		return h.PairingCode(ctx)
	case "web": // runs ownline-web with arguments: standard input, arguments
		var stdin string
		var args []string
		if err := a.read(&stdin, &args); err != nil {
			return nil, err
		}
		out, err := h.WebCommand(ctx, stdin, args...)
		return string(out), err
	case "outlive": // an invitation, by its id: it ended a minute ago
		var id string
		if err := a.read(&id); err != nil {
			return nil, err
		}
		return nil, h.outlive(ctx, id)
	case "enrol", "knock", "agent", "roam", "carrier": // what happens on a host of the internet: host, what it needs for it
		var name, text string
		if err := a.read(&name, &text); err != nil {
			return nil, err
		}
		host, ok := h.hosts()[name]
		if !ok {
			return nil, fmt.Errorf("there is no host %q", name)
		}
		return h.away(ctx, a.Do, host, text)
	}
	return nil, fmt.Errorf("the world does not know %q", a.Do)
}

// discarding is where an answer goes; what is deleted may answer nothing.
func discarding(method string, out *any) any {
	if method == http.MethodDelete {
		return nil
	}
	return out
}

func (h *house) edit(old, new string) error {
	file := h.Path("web.yaml")
	yaml, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !bytes.Contains(yaml, []byte(old)) {
		return fmt.Errorf("web.yaml has no %q", old)
	}
	return os.WriteFile(file, bytes.Replace(yaml, []byte(old), []byte(new), 1), 0o600)
}

// begin makes both programs what they are right after the installation, and returns the URL that
// makes the first admin.
func (h *house) begin(ctx context.Context) (string, error) {
	for name, d := range map[string]*world.Daemon{"core": h.Core, "web": h.Web} {
		if err := d.Stop(20 * time.Second); err != nil {
			return "", err
		}
		if err := os.RemoveAll(h.Path(name)); err != nil {
			return "", err
		}
		if err := d.Start(context.WithoutCancel(ctx)); err != nil {
			return "", err
		}
	}
	err := h.Core.Until(ctx, "answer", func(ctx context.Context) error {
		_, err := h.CoreCommand(ctx, "status", "--json")
		return err
	})
	if err != nil {
		return "", err
	}
	var address []byte
	err = h.Web.Until(ctx, "write its setup URL", func(context.Context) (err error) {
		if address, err = os.ReadFile(filepath.Join(h.Path("web"), "setup-url")); err == nil && len(address) == 0 {
			err = errors.New("the file is empty")
		}
		return err
	})
	return strings.TrimSpace(string(address)), err
}

func (h *house) power(ctx context.Context, what, name string) error {
	d, ok := map[string]*world.Daemon{"core": h.Core, "web": h.Web, "broker": h.mosquitto}[name]
	if !ok {
		return fmt.Errorf("there is no daemon %q", name)
	}
	switch what {
	case "stop":
		return d.Stop(20 * time.Second)
	case "kill":
		return d.Kill()
	case "freeze":
		return d.Freeze()
	case "thaw":
		return d.Thaw()
	}
	if err := d.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	if err := h.WaitConnected(ctx); err != nil {
		return err
	}
	return h.heard(ctx)
}
