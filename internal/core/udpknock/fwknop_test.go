package udpknock

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/knock/fwknop"
	"github.com/ownline/ownline/internal/knock/fwknop/fwknoptest"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// Invariants 1, 2 and 6: what is not of a device, or was there before, goes no further.
func TestTakeFwknop(t *testing.T) {
	w := newWorld(t, nil)
	keys := fwknop.Keys{Digest: fwknop.SHA256, Key: bytes.Repeat([]byte{1}, 32), HMAC: bytes.Repeat([]byte{2}, 64)}
	dev, other := ownline.NewID[ownline.Device](), ownline.NewID[ownline.Device]()
	devices := []link.FwknopDevice{{ID: other, Digest: fwknop.SHA3x512, Key: bytes.Repeat([]byte{3}, 64)}, {ID: dev, Digest: keys.Digest, Key: keys.HMAC}}
	set := func(devices []link.FwknopDevice) {
		t.Helper()
		if err := w.SetDevices(w.site, 64, []link.Device{w.device}, devices); err != nil {
			t.Fatal(err)
		}
	}
	set(devices)
	listening := true
	var got []link.Fwknop
	w.cfg.DeliverFwknop = func(p link.Fwknop) bool {
		if listening {
			got = append(got, p)
		}
		return listening
	}
	packet := func() []byte {
		return fwknoptest.Seal(keys, fwknoptest.Plain(fwknoptest.Message{Time: noon, Access: "0.0.0.0,tcp/22"}))
	}
	stolen := keys
	stolen.HMAC = bytes.Repeat([]byte{9}, 64)
	once := packet()
	for _, tc := range []struct {
		name   string
		packet []byte
		from   netip.AddrPort
		do     func()
		want   reason
	}{
		{"genuine", once, client, nil, accepted},
		{"again", once, client, nil, replay},
		{"again, from elsewhere", once, client6, nil, replay},
		{"again, after new devices came", once, client, func() { set(devices) }, replay},
		{"genuine over IPv6", packet(), client6, nil, accepted},
		{"inside", packet(), netip.MustParseAddrPort("127.0.0.1:1"), nil, accepted},
		{"private source", packet(), netip.MustParseAddrPort("10.0.0.1:1"), nil, badSource},
		{"another HMAC key", fwknoptest.Seal(stolen, "x"+fwknoptest.Plain(fwknoptest.Message{Time: noon, Access: "0.0.0.0,tcp/22"})), client, nil, badMAC},
		{"of an Ownline device", w.knock(nil)[:], client, nil, badShape},
		{"empty", nil, client, nil, badShape},
		{"no clock", packet(), client, func() { w.clock.set(time.Time{}) }, noClock},
		{"nobody listens", packet(), client, func() { w.clock.set(noon); listening = false }, noWeb},
		{"revoked", packet(), client, func() { listening = true; set(devices[:1]) }, badMAC},
	} {
		if tc.do != nil {
			tc.do()
		}
		before := len(got)
		if why := w.takeFwknop(tc.packet, tc.from); why != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, names[why], names[tc.want])
		}
		if n := len(got) - before; (n == 1) != (tc.want == accepted) {
			t.Errorf("%s: %d were delivered", tc.name, n)
		}
	}
	first := got[0]
	if first.Device != dev || first.Packet != string(once) || first.Source != client.Addr() || !first.Now.Equal(noon) || first.Skew != 2*time.Minute || first.Inside {
		t.Errorf("delivered %+v", first)
	}
	// It gets no answer; that it was accepted, web says.
	if err := w.Verdict(first.Seq, knock.Opened, "", 1, noon); err != nil || w.Counts().Accepted != 1 {
		t.Errorf("its verdict: %v, %d accepted", err, w.Counts().Accepted)
	}
	for name, d := range map[string]link.FwknopDevice{"HMAC-MD5": {Digest: "md5", Key: keys.HMAC}, "a short key": {Digest: keys.Digest, Key: keys.HMAC[:8]}} {
		if CheckFwknop([]link.FwknopDevice{d}) == nil || w.SetDevices(w.site, 64, nil, []link.FwknopDevice{d}) == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestBadFwknopPacketsCostNothing(t *testing.T) {
	w := newWorld(t, nil)
	if err := w.SetDevices(w.site, 64, nil, []link.FwknopDevice{{ID: ownline.NewID[ownline.Device](), Digest: fwknop.SHA384, Key: make([]byte, 64)}}); err != nil {
		t.Fatal(err)
	}
	p := append([]byte("8"), bytes.Repeat([]byte("A"), fwknop.MaxSize-1)...)
	if n := testing.AllocsPerRun(100, func() { w.takeFwknop(p, client) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
