package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ownline/ownline/test/bed"
)

// peer is what a figure is compared with; the zero peer is none.
type peer struct {
	name string
	ms   float64 // its own figure
}

// ratio is value over the peer's, 0 without a peer.
func (p peer) ratio(value float64) float64 {
	if p.ms == 0 {
		return 0
	}
	return value / p.ms
}

// fwknop measures the system's fwknopd at what knocksIn has Ownline do: let a client through
// the router to the echo server in the LAN. The peer is fwknopd with a UDP socket, where a
// packet wakes it. As it is shipped it sniffs, and looks for packets every 0.1 s
// (PCAP_LOOP_SLEEP in fwknopd(8)); that is measured too, but would flatter Ownline. The
// error says why there is no peer.
func (b *bench) fwknop(ctx context.Context) (p peer, _ error) {
	if err := fwknopThere(); err != nil {
		return p, err
	}
	said, err := exec.CommandContext(ctx, "fwknopd", "--version").Output()
	if err != nil {
		return p, fmt.Errorf("ask for its version: %w", err)
	}
	// "fwknopd server 2.6.10, compiled for …"
	name, _, _ := strings.Cut(strings.Replace(string(said), " server", "", 1), ",")
	for _, mode := range []struct{ line, setting string }{
		{"fwknopd_sniffing", ""}, {"fwknopd", "ENABLE_UDP_SERVER Y;\n"},
	} {
		times, err := fwknopTimes(ctx, mode.setting, b.runs(20))
		if err != nil {
			return peer{}, err
		}
		p = peer{name, percentile(times, 0.5)}
		b.add(mode.line+"_knock_to_connect_p50_ms", p.ms, "ms")
	}
	return p, nil
}

// fwknopThere says what is missing of fwknop, if anything is.
func fwknopThere() error {
	// Not everybody's PATH leads to where these programs are.
	if err := os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin"); err != nil {
		return err
	}
	for _, need := range [][2]string{{"fwknopd", "fwknop-server"}, {"fwknop", "fwknop-client"}, {"iptables", "iptables"}} {
		if _, err := exec.LookPath(need[0]); err != nil {
			return fmt.Errorf("the package %s would add it", need[1])
		}
	}
	return nil
}

// fwknopPort is what fwknop uses unless told otherwise.
const fwknopPort = 62201

// fwknopRig is an fwknopd on the router of a bed.
type fwknopRig struct {
	bed          *bed.Bed
	dir          string         // in memory
	conn         *net.UDPConn   // of the client
	door         netip.AddrPort // what a packet opens
	key, hmacKey string
	server       rival
	ended        chan struct{} // closed when fwknopd has ended; nil: it was not started
}

func newFwknopRig(w *bed.Bed) *fwknopRig {
	return &fwknopRig{bed: w, door: netip.AddrPortFrom(w.Router.IPv4, 20443), key: rand.Text(), hmacKey: rand.Text()}
}

// fwknopTimes returns n times from packet to connection. Each takes a packet of its own, made
// beforehand, so the start of the client program is not in them.
func fwknopTimes(ctx context.Context, setting string, n int) (_ []time.Duration, err error) {
	w, err := bed.New(ctx)
	if err != nil {
		return nil, err
	}
	r := newFwknopRig(w)
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.start(ctx, setting); err != nil {
		return nil, err
	}
	var times []time.Duration
	for i := range n + 2 {
		if err := r.shut(ctx); err != nil {
			return nil, err
		}
		packet, err := r.packet(ctx)
		if err != nil {
			return nil, err
		}
		// A moment by chance: how long fwknopd has slept already must not be the same each time.
		time.Sleep(50*time.Millisecond + mathrand.N(100*time.Millisecond))
		took, err := r.enter(ctx, packet)
		if err != nil {
			return nil, err
		}
		if i >= 2 { // the first ones warm up
			times = append(times, took)
		}
	}
	return times, nil
}

// start starts fwknopd behind an ordinary firewall, and returns when a packet opens the door.
func (r *fwknopRig) start(ctx context.Context, setting string) (err error) {
	if _, err := r.bed.StartServers(); err != nil {
		return err
	}
	if r.dir, err = os.MkdirTemp("/dev/shm", "ownline-bench-"); err != nil {
		return err
	}
	config, access := filepath.Join(r.dir, "fwknopd.conf"), filepath.Join(r.dir, "access.conf")
	for path, text := range map[string]string{
		config: "PCAP_INTF wan0;\nENABLE_IPT_FORWARDING Y;\n" + setting,
		access: fmt.Sprintf("SOURCE ANY\nKEY %s\nHMAC_KEY %s\n", r.key, r.hmacKey),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	// What isn't let in is refused at once, so that trying again soon makes sense.
	if err := r.iptables(ctx, "-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
		"-A FORWARD -i wan0 -p tcp -j REJECT --reject-with tcp-reset"); err != nil {
		return err
	}
	// It is not connected, or a port that is closed, where fwknopd only sniffs, would be an error.
	if r.conn, err = r.bed.Client1.ListenUDP(netip.AddrPortFrom(r.bed.Client1.IPv4, 0)); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(r.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command("fwknopd", "-f", "-c", config, "-a", access, "-r", r.dir)
	cmd.Stdout, cmd.Stderr = log, log
	if err := r.bed.Router.Start(cmd); err != nil {
		return err
	}
	r.server = rival{name: "fwknopd", pid: cmd.Process.Pid}
	r.ended = make(chan struct{})
	go func() { _ = cmd.Wait(); close(r.ended) }() // how it ended is in its log
	packet, err := r.packet(ctx)
	if err != nil {
		return err
	}
	for i := 0; i < 50 && ctx.Err() == nil; i++ {
		if err := r.send(packet); err != nil { // once more: it may not have listened yet
			return err
		}
		time.Sleep(200 * time.Millisecond)
		if r.open() {
			return nil
		}
	}
	said, err := os.ReadFile(log.Name())
	return errors.Join(fmt.Errorf("it lets nobody in:\n%s", said[max(0, len(said)-2000):]), err)
}

// close ends fwknopd with its bed, and removes its files.
func (r *fwknopRig) close() error {
	if r.conn != nil {
		_ = r.conn.Close()
	}
	err := r.bed.Close()
	if r.ended != nil {
		<-r.ended
	}
	return errors.Join(err, os.RemoveAll(r.dir))
}

// packet has the client program make a packet, and does not send it.
func (r *fwknopRig) packet(ctx context.Context) ([]byte, error) {
	return madePacket(ctx, r.bed.Client1, filepath.Join(r.dir, "packet"), []string{
		"--no-rc-file", "--no-home-dir", "--save-args-file", filepath.Join(r.dir, "args"),
		"--access", fmt.Sprintf("tcp/%d", r.door.Port()), "--allow-ip", r.bed.Client1.IPv4.String(),
		"--nat-access", netip.AddrPortFrom(r.bed.Lan.IPv4, bed.EchoPort).String(), "--destination", r.door.Addr().String(),
		"--use-hmac", "--key-rijndael", r.key, "--key-hmac", r.hmacKey,
	})
}

// madePacket has the client program write a packet to a file, and does not send it.
func madePacket(ctx context.Context, h *bed.Host, file string, args []string) ([]byte, error) {
	if err := run(ctx, h, "fwknop", append([]string{"--test", "--save-packet", file}, args...)...); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(file)
	return bytes.TrimSpace(text), err
}

func (r *fwknopRig) send(packet []byte) error {
	_, err := r.conn.WriteToUDPAddrPort(packet, netip.AddrPortFrom(r.door.Addr(), fwknopPort))
	return err
}

// shut takes away what fwknopd has let in, without waiting for it to expire.
func (r *fwknopRig) shut(ctx context.Context) error {
	err := r.iptables(ctx, "-F FWKNOP_FORWARD", "-t nat -F FWKNOP_PREROUTING")
	if err == nil && r.open() {
		err = errors.New("its door is open without a packet")
	}
	return err
}

// enter sends a packet and tries to connect until it works: fwknopd answers nobody.
func (r *fwknopRig) enter(ctx context.Context, packet []byte) (time.Duration, error) {
	took, ok, err := opens(ctx, func() error { return r.send(packet) }, r.open, 5*time.Second, false)
	if err == nil && !ok {
		err = errors.New("a packet opened nothing")
	}
	return took, err
}

// open tells whether the client gets through.
func (r *fwknopRig) open() bool {
	return r.bed.Client1.ConnectTCP(r.door, 50*time.Millisecond).State == bed.Open
}

// iptables runs it on the router, once for each change.
func (r *fwknopRig) iptables(ctx context.Context, changes ...string) error {
	for _, c := range changes {
		if err := run(ctx, r.bed.Router, "iptables", strings.Fields(c)...); err != nil {
			return err
		}
	}
	return nil
}

func run(ctx context.Context, h *bed.Host, program string, args ...string) error {
	cmd := h.Command(ctx, program, args...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := h.Run(cmd); err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, bytes.TrimSpace(said.Bytes()))
	}
	return nil
}
