package access_test

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/knock/fwknop"
	"github.com/ownline/ownline/internal/knock/fwknop/fwknoptest"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
)

// hears has the site's core hear fwknop clients.
func (h *house) hears(t *testing.T) {
	t.Helper()
	if err := h.Told(t.Context(), h.site.ID, link.Status{KnockPort: 54754, FwknopPort: 62201}); err != nil {
		t.Fatal(err)
	}
}

// fwknop enrols a client and reads its keys out of its stanza.
func (h *house) fwknop(t *testing.T, n access.NewDevice) (ownline.Device, fwknop.Keys) {
	t.Helper()
	n.Site, n.Name, n.Fwknop = h.site.ID, cmp.Or(n.Name, "server"), fwknop.SHA256
	d, e, err := h.AddDevice(t.Context(), h.ana, n)
	if err != nil {
		t.Fatal(err)
	}
	key := func(name string) []byte {
		m := regexp.MustCompile(`(?m)^` + name + `\s+(\S+)$`).FindStringSubmatch(e.Fwknop.Stanza)
		if m == nil {
			t.Fatalf("no %s in a stanza", name)
		}
		b, err := base64.StdEncoding.DecodeString(m[1])
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	return d, fwknop.Keys{Digest: fwknop.SHA256, Key: key("KEY_BASE64"), HMAC: key("HMAC_KEY_BASE64")}
}

func TestEnrolFwknop(t *testing.T) {
	h := newHouse(t)
	h.hears(t)
	if err := h.Told(t.Context(), h.site.ID, link.Status{KnockPort: 54754}); err != nil {
		t.Fatal(err)
	}
	n := access.NewDevice{Site: h.site.ID, Name: "server", Fwknop: fwknop.SHA3x512}
	if _, _, err := h.AddDevice(t.Context(), h.ana, n); !errors.Is(err, ownline.ErrConflict) || !strings.Contains(err.Error(), "knock.fwknop_listen") {
		t.Errorf("at a router that hears none: %v", err)
	}
	h.hears(t)
	n.Fwknop = "md5"
	if _, _, err := h.AddDevice(t.Context(), h.ana, n); !errors.Is(err, ownline.ErrInvalid) || !strings.Contains(err.Error(), "fwknop") {
		t.Errorf("with HMAC-MD5: %v", err)
	}
	n.Fwknop = fwknop.SHA3x512
	d, e, err := h.AddDevice(t.Context(), h.ana, n)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"[home]\n", "SPA_SERVER              home.example.org\n", "SPA_SERVER_PORT         62201\n", "HMAC_DIGEST_TYPE        SHA3_512\n"} {
		if !strings.Contains(e.Fwknop.Stanza, want) {
			t.Errorf("%q is not in the stanza:\n%s", want, e.Fwknop.Stanza)
		}
	}
	if d.Secret != nil || e.Key != nil {
		t.Error("the secret itself is shown")
	}
	if len(e.Fwknop.Opens) != 1 || !regexp.MustCompile(`^fwknop -n home -A tcp/2\d{4} -N ssh$`).MatchString(e.Fwknop.Opens[0].Command) {
		t.Errorf("commands: %+v", e.Fwknop.Opens)
	}
	// What a grant requires, the command does, unless the stanza does it already.
	if _, err := h.ChangeGrant(t.Context(), command, h.grant.ID, access.GrantChange{RequireClaimedSource: new(true)}); err != nil {
		t.Fatal(err)
	}
	for _, strict := range []bool{false, true} {
		_, e, err := h.AddDevice(t.Context(), h.ana, access.NewDevice{Site: h.site.ID, Name: fmt.Sprint("strict ", strict), Fwknop: fwknop.SHA256, RequireClaimedSource: strict})
		if err != nil || len(e.Fwknop.Opens) != 1 || strings.HasSuffix(e.Fwknop.Opens[0].Command, " -N ssh -R") == strict || strings.Contains(e.Fwknop.Stanza, "resolve") != strict {
			t.Errorf("a device that must name its source %t, %v: %+v", strict, err, e.Fwknop)
		}
	}
	// Core learns the HMAC's key and no more; brokers learn nothing.
	st, _, err := h.Desired(t.Context(), h.site.ID)
	if err != nil || len(st.Devices) != 0 || len(st.FwknopDevices) != 3 || st.FwknopDevices[0].ID != d.ID ||
		base64.StdEncoding.EncodeToString(st.FwknopDevices[0].Key) != e.Fwknop.HMACKey {
		t.Errorf("desired %+v, %v", st.FwknopDevices, err)
	}
	if all, err := h.Knockers(t.Context()); err != nil || len(all[0].Devices) != 0 {
		t.Errorf("knockers %+v, %v", all, err)
	}
	_, again, err := h.RotateDevice(t.Context(), h.ana, d.ID)
	if err != nil || again.Fwknop == nil || again.Fwknop.HMACKey == e.Fwknop.HMACKey || again.Fwknop.Key == e.Fwknop.Key {
		t.Errorf("rotated: %v", err)
	}
}

// Invariants 2, 3 and 6: a packet counts once, when its time and address are right, and opens what
// it names of what is granted.
func TestKnockFwknop(t *testing.T) {
	h := newHouse(t)
	h.hears(t)
	port := uint16(20022)
	if _, err := h.ChangeGrant(t.Context(), command, h.grant.ID, access.GrantChange{PublicPort: &port}); err != nil {
		t.Fatal(err)
	}
	d, keys := h.fwknop(t, access.NewDevice{})
	strict, strictKeys := h.fwknop(t, access.NewDevice{Name: "strict", RequireClaimedSource: true})
	native, _, err := h.AddDevice(t.Context(), h.ana, access.NewDevice{Site: h.site.ID, Name: "phone"})
	if err != nil {
		t.Fatal(err)
	}
	base := time.Now().Truncate(time.Second)
	packet := func(k fwknop.Keys, device ownline.DeviceID, edit func(*fwknoptest.Message)) link.Fwknop {
		m := fwknoptest.Message{Time: base, Access: "0.0.0.0,tcp/20022"}
		if edit != nil {
			edit(&m)
		}
		return link.Fwknop{Device: device, Packet: string(fwknoptest.Seal(k, fwknoptest.Plain(m))), Now: base, Source: anaAt, Skew: 2 * time.Minute}
	}
	asks := func(text string) func(*fwknoptest.Message) {
		return func(m *fwknoptest.Message) { m.Access = text }
	}
	made := func(d time.Duration) func(*fwknoptest.Message) {
		return func(m *fwknoptest.Message) { m.Time = base.Add(d) }
	}
	good := packet(keys, d.ID, nil)
	changed := good
	changed.Packet = "8" + strings.Repeat("A", 224)
	elsewhere := packet(keys, d.ID, nil)
	elsewhere.Source = netip.MustParseAddr("2001:db8:1::1")
	another := keys
	another.Key = make([]byte, 32)
	ignored := func(why string) string { return "ignored: " + why }
	for _, tc := range []struct {
		name string
		p    link.Fwknop
		want string
	}{
		{"in order", good, "opened"},
		{"once more", good, ignored("replay")},
		{"another one", packet(keys, d.ID, func(m *fwknoptest.Message) { m.Seconds = 60 }), "renewed"},
		{"by its target", packet(keys, d.ID, func(m *fwknoptest.Message) { m.Target = "192.168.7.10,22" }), "renewed"},
		{"by its name", packet(keys, d.ID, func(m *fwknoptest.Message) { m.Target = "ssh,1" }), "renewed"},
		{"by another name", packet(keys, d.ID, func(m *fwknoptest.Message) { m.Target = "web,20022" }), "nothing granted"},
		{"at another port", packet(keys, d.ID, asks("0.0.0.0,tcp/20023")), "nothing granted"},
		{"at another port, too", packet(keys, d.ID, asks("0.0.0.0,tcp/20022,tcp/20023")), "nothing granted"},
		{"by UDP", packet(keys, d.ID, asks("0.0.0.0,udp/20022")), "nothing granted"},
		{"for its own address", packet(keys, d.ID, asks(anaAt.String()+",tcp/20022")), "renewed"},
		{"for another address", packet(keys, d.ID, asks(bobAt.String()+",tcp/20022")), ignored("claimed_source_differs")},
		{"from an address of another family", elsewhere, "nothing granted"},
		{"the oldest that counts", packet(keys, d.ID, made(-2*time.Minute)), "renewed"},
		{"too old", packet(keys, d.ID, made(-121*time.Second)), ignored("time")},
		{"the newest that counts", packet(keys, d.ID, made(2*time.Minute)), "renewed"},
		{"from the future", packet(keys, d.ID, made(121*time.Second)), ignored("time")},
		{"not the device's", changed, ignored("fwknop_message")},
		{"of another device", packet(strictKeys, d.ID, nil), ignored("fwknop_message")},
		{"by another encryption key", packet(another, d.ID, nil), ignored("fwknop_message")},
		{"of a device that is no fwknop client", packet(keys, native.ID, nil), ignored("device_revoked")},
		{"of a device that was removed", packet(keys, ownline.NewID[ownline.Device](), nil), ignored("unknown_device")},
		{"without the address that is required", packet(strictKeys, strict.ID, nil), ignored("claimed_source_missing")},
		{"with it", packet(strictKeys, strict.ID, asks(anaAt.String()+",tcp/20022")), "opened"},
	} {
		v, _, err := h.KnockFwknop(t.Context(), h.site.ID, tc.p)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		got := v.Status.String()
		if v.Ignored != "" {
			got = ignored(v.Ignored)
		}
		if got != tc.want || v.Ignored != "" && (v.Status != 0 || len(v.Sessions) > 0) {
			t.Errorf("%s: %+v; want %s", tc.name, v, tc.want)
		}
	}
	// Each is counted as its device's, if there is one.
	all, err := h.Refusals(t.Context(), command, ownline.RefusalQuery{})
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]uint64{}
	for _, r := range all {
		counted[r.DeviceName+" "+r.Reason] = r.Number
	}
	want := map[string]uint64{
		d.Name + " replay": 1, d.Name + " not_granted": 5, d.Name + " claimed_source": 1, d.Name + " time": 2, d.Name + " fwknop_shape": 3,
		"phone device_revoked": 1, " unknown_device": 1, strict.Name + " claimed_source": 1,
	}
	if !maps.Equal(counted, want) {
		t.Errorf("counted as refused are %v, want %v", counted, want)
	}
	if v, _, err := h.KnockFwknop(t.Context(), ownline.NewID[ownline.Site](), packet(keys, d.ID, nil)); err != nil || v.Ignored != "device_revoked" {
		t.Errorf("at another site: %+v, %v", v, err)
	}
	for _, edit := range []func(*link.Fwknop){
		func(p *link.Fwknop) { p.Skew = time.Hour }, func(p *link.Fwknop) { p.Now = time.Time{} }, func(p *link.Fwknop) { p.Packet = strings.Repeat("A", 400) },
	} {
		p := packet(keys, d.ID, nil)
		edit(&p)
		if v, _, err := h.KnockFwknop(t.Context(), h.site.ID, p); v != nil || !errors.Is(err, ownline.ErrInvalid) {
			t.Errorf("not as a core sends it: %+v, %v", v, err)
		}
	}
	// Another start of web remembers.
	if v, _, err := h.with(h.cores).KnockFwknop(t.Context(), h.site.ID, good); err != nil || v.Ignored != "replay" {
		t.Errorf("after a start: %+v, %v", v, err)
	}
	inside := packet(keys, d.ID, nil)
	inside.Inside = true
	if v, _, err := h.KnockFwknop(t.Context(), h.site.ID, inside); err != nil || v.Status != knock.Inside || len(v.Sessions) != 0 {
		t.Errorf("inside: %+v, %v", v, err)
	}
	if _, err := h.RevokeDevice(t.Context(), h.ana, d.ID); err != nil {
		t.Fatal(err)
	}
	if v, _, err := h.KnockFwknop(t.Context(), h.site.ID, packet(keys, d.ID, nil)); err != nil || v.Ignored != "device_revoked" {
		t.Errorf("revoked: %+v, %v", v, err)
	}
}
