package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

// mostGrown is how many bytes a flood may cost core: what the garbage collector leaves lying, less than
// if no more than the source were kept of each packet, of which core looks at some 100,000.
const mostGrown = 6 << 20

// Invariants 1 and 11: a flood of packets that look like fwknop's, as fast as one sender can, from
// everybody's addresses and the client's own above all, keeps Debian's client out no longer than
// until it has tried a few times.
func TestFwknopFlood(t *testing.T) {
	l := startFwknop(t, "")
	l.grant(l.echo, world.Map{"public_port": 20443})
	c := l.enrol("sha256", nil)
	l.opens(c, 30*time.Minute, []string{l.echo}, "-A", "tcp/20443", "-s")
	l.flush()

	garbage := make([][]byte, 256)
	for i := range garbage {
		b := make([]byte, 168)
		rand.Read(b)
		garbage[i] = append([]byte{"89+/"[i%4]}, base64.RawStdEncoding.EncodeToString(b)...)
	}
	client := l.Bed.Client1.IPv4
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() {
		_, err := l.Bed.Stranger.Forge(ctx, bed.Forgery{
			To: netip.AddrPortFrom(l.Bed.Router.IPv4, fwknopPort), Payloads: garbage,
			Source: func(r uint32) netip.Addr {
				if r%16 == 0 {
					return client
				}
				return bed.Everybody(r)
			},
		})
		done <- err
	}()
	before := l.status().Knocks.Dropped["fwknop_hmac"]
	_, most, err := l.Core.Memory()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "garbage comes", func() bool {
		k := l.status().Knocks.Dropped
		return k["kernel_rate_limit"] > 10_000 || k["fwknop_hmac"] > before+200_000 // what everybody may send at once is used up
	})
	for _, s := range []string{"another source", "the forged one"} {
		from := l.Bed.Client1
		if s == "another source" {
			from = from.From(l.Bed.Client1.IPv4s[1])
		}
		tries := 0
		eventually(t, 60*time.Second, s+" gets in", func() bool {
			tries++
			packet := l.made(c)
			conn, err := from.Dial("udp", netip.AddrPortFrom(l.Bed.Router.IPv4, fwknopPort), time.Second)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write(packet); err != nil {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond)
			return len(l.sessions()) == 1
		})
		t.Logf("%s: in after %d packets", s, tries)
		l.flush()
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	_, high, err := l.Core.Memory()
	if err != nil || high > most+mostGrown {
		t.Errorf("core took %d kB before the flood, and %d kB in it: %v", most>>10, high>>10, err)
	}
	k := l.status().Knocks
	t.Logf("core looked at %d packets and took %d kB for that, the kernel dropped %d",
		k.Dropped["fwknop_hmac"]-before, (high-most)>>10, k.Dropped["kernel_rate_limit"])
}

// made has the client make a packet, and not send it.
func (l *fwknopLab) made(c *fwknopClient) []byte {
	l.t.Helper()
	at := c.rc + ".packet"
	l.client(c, "--test", "--save-packet", at, "-A", "tcp/20443", "-s")
	packet, err := os.ReadFile(at)
	if err != nil {
		l.t.Fatal(err)
	}
	return bytes.TrimSpace(packet)
}
