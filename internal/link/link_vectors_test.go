package link

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
)

var update = flag.Bool("update", false, "write spec/vectors anew")

const vectorFile = "../../spec/vectors/link-v1.json"

// vectors is spec/vectors/link-v1.json, shared by every implementation.
type vectors struct {
	Comment  string          `json:"comment"`
	Messages []messageVector `json:"messages"`
	Codes    []codeVector    `json:"codes"`
}

type messageVector struct {
	Name    string          `json:"name"`
	Message string          `json:"message"` // one of messageTypes
	Accept  bool            `json:"accept"`
	JSON    json.RawMessage `json:"json"`
}

type codeVector struct {
	Name   string `json:"name"`
	Code   string `json:"code"`
	Accept bool   `json:"accept"`
	Addr   string `json:"addr,omitempty"` // "": core dials
	Pin    string `json:"pin,omitempty"`
	Token  string `json:"token,omitempty"`
}

// messageTypes are the messages by their names in spec/link-v1.md.
var messageTypes = map[string]any{
	"PairRequest": PairRequest{}, "NextKey": NextKey{}, "Status": Status{}, "State": State{}, "Put": Put{}, "PutPass": PutPass{}, "Preview": Preview{}, "CertificateRequest": CertificateRequest{}, "Certificate": Certificate{}, "Reach": Reach{}, "Reached": Reached{}, "Result": Result{},
	"Results": Results{}, "Verdict": Verdict{}, "Event": Event{}, "Problem": Problem{},
}

var (
	vecSite    = vecID[ownline.Site](1)
	vecNow     = time.Date(2026, 9, 21, 14, 13, 20, 123_000_000, time.UTC)
	vecPin     = Pin("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")
	vecSession = Session{
		ID: vecID[ownline.Session](2), Service: "ssh", ServiceID: vecID[ownline.Service](5), User: "ana", Kind: ownline.Forward,
		Source: netip.MustParsePrefix("198.51.100.7/32"), Transport: ownline.TCP, PublicPort: 20022,
		Target: netip.MustParseAddrPort("192.168.7.10:22"), Expires: vecNow.Add(30 * time.Minute),
	}
	vecSession6 = Session{
		ID: vecID[ownline.Session](3), Service: "dns", ServiceID: vecID[ownline.Service](6), User: "ben", Kind: ownline.Forward,
		Source: netip.MustParsePrefix("2001:db8:1:1::/64"), Transport: ownline.UDP, PublicPort: 53, AllowReserved: true,
		Target: netip.MustParseAddrPort("[fd00:7::10]:53"), Expires: vecNow.Add(time.Hour),
	}
	vecProxied = Session{
		ID: vecID[ownline.Session](7), Service: "wiki", ServiceID: vecID[ownline.Service](8), User: "ana", Kind: ownline.Proxy,
		Source: netip.MustParsePrefix("198.51.100.7/32"), Transport: ownline.TCP, PublicPort: 9999, Expires: vecNow.Add(time.Hour),
	}
	vecPass   = Pass{Login: vecID[ownline.Login](10), Service: vecID[ownline.Service](8), User: "ana", Expires: vecNow.Add(time.Hour)}
	vecStatus = Status{
		Version: "1.0.0", Run: "MFRGG43FMZ2W4ZDPOVZGC3TEN4", Started: vecNow.Add(-time.Hour), Up: time.Hour, Site: vecSite, SiteName: "home", Paired: true, Connected: true,
		Applied: Revision{"2026-09-01T08:00:00Z", 41}, Sessions: 2, Devices: 1, KnockPort: 54754, FwknopPort: 62201,
		LocalNetworks: []netip.Prefix{netip.MustParsePrefix("192.168.7.0/24"), netip.MustParsePrefix("fd00:7::/64")},
		ReservedPorts: []uint16{22, 54754},
		Clock:         Clock{Source: "system", Now: vecNow},
		Firewall:      Firewall{Driver: "nftables", OK: true, Filter: true},
		Proxy:         Proxy{Driver: "embedded", Domain: "home.example.org", Port: 9999, OK: true, Root: "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", Services: 2, Doorstep: vecNow.Add(time.Hour)},
		Knocks:        Knocks{Accepted: 3, Dropped: map[string]uint64{"replay": 1, "unknown_hint": 12}},
	}
)

func vecID[T any](n byte) ownline.ID[T] {
	return ownline.ID[T]{0x01, 0x92, 0xf0, 0xc0, 0xde, 0x00, 0x70, 0x00, 0x80, 15: n}
}

func vecStamp(revision uint64) Stamp {
	return Stamp{Revision{"2026-09-01T08:00:00Z", revision}, vecNow}
}

// goodMessages is one message or more of every kind, in the order of the document.
func goodMessages() []struct {
	name string
	v    any
} {
	unpaired := Status{
		Version: "1.0.0", Run: "ORSXG5BAOJ2W4IDJNZ2GK4TOMF", Started: vecNow, LocalNetworks: []netip.Prefix{},
		Clock:    Clock{Source: "unknown", Why: "the kernel's clock is not synchronised and web has not told the time yet, so no knock can be taken"},
		Firewall: Firewall{Driver: "nftables", Error: "operation not permitted"},
		Proxy:    Proxy{Driver: "none"},
		Knocks:   Knocks{Dropped: map[string]uint64{}},
	}
	knocked := Knocked{
		Seq: 7, Device: vecID[ownline.Device](4), Nonce: []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, Made: vecNow,
		Source: netip.MustParseAddr("198.51.100.7"), Skew: time.Minute,
	}
	named := knocked
	named.Seq, named.Claimed, named.Service, named.Duration = 8, named.Source, vecID[ownline.Service](5), 90*time.Minute
	return []struct {
		name string
		v    any
	}{
		{"pair", PairRequest{Token: "AAECAwQFBgcICQoLDA0ODw"}},
		{"next key", NextKey{vecPin}},
		{"no next key", NextKey{}},
		{"status", vecStatus},
		{"status before pairing", unpaired},
		{"whole state", State{
			Stamp: vecStamp(41), Site: vecSite, SiteName: "home", IPv6Prefix: 64, Sessions: []Session{vecSession, vecSession6, vecProxied},
			Devices: []Device{{ID: vecID[ownline.Device](4), Secret: bytes.Repeat([]byte{0x5a, 0xc3}, 16), RequireClaimedSource: true}},
			Services: []Service{
				{ID: vecID[ownline.Service](8), Name: "wiki", Target4: netip.MustParseAddrPort("192.168.7.12:80")},
				{
					ID: vecID[ownline.Service](9), Name: "nas", Target4: netip.MustParseAddrPort("192.168.7.13:443"), Target6: netip.MustParseAddrPort("[fd00:7::13]:443"),
					Options: ownline.ProxyOptions{
						Scheme: "https", PathPrefix: "/nas", Headers: map[string]string{"X-Script-Name": "/nas"}, CA: "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
						Pin: strings.Repeat("5a", 32), ServerName: "nas.lan", RequireLogin: true, Template: "server {\n{ownline:guard}\n}\n",
					},
				},
			},
			Doorstep: &Doorstep{Web4: netip.MustParseAddrPort("192.168.7.5:8080"), Web6: netip.MustParseAddrPort("[fd00:7::5]:8080"), Until: vecNow.Add(24 * time.Hour)},
		}},
		{"state with a doorstep that is shut", State{
			Stamp: vecStamp(1), Site: vecSite, SiteName: "home", IPv6Prefix: 64, Sessions: []Session{}, Devices: []Device{}, Services: []Service{},
			Doorstep: &Doorstep{Web4: netip.MustParseAddrPort("192.168.7.5:8080")},
		}},
		{"state with passes", State{
			Stamp: vecStamp(41), Site: vecSite, SiteName: "home", IPv6Prefix: 64, Sessions: []Session{}, Devices: []Device{},
			Services: []Service{{ID: vecID[ownline.Service](8), Name: "wiki", Target4: netip.MustParseAddrPort("192.168.7.12:80"), Options: ownline.ProxyOptions{RequireLogin: true}}},
			Pages:    "https://ownline.home.example.org:9999", Passes: []Pass{vecPass},
		}},
		{"empty state", State{Stamp: vecStamp(1), Site: vecSite, SiteName: "home", IPv6Prefix: 64, Sessions: []Session{}, Devices: []Device{}, Services: []Service{}}},
		{"state with a device that is an fwknop client", State{
			Stamp: vecStamp(1), Site: vecSite, SiteName: "home", IPv6Prefix: 64, Sessions: []Session{}, Devices: []Device{}, Services: []Service{},
			FwknopDevices: []FwknopDevice{{ID: vecID[ownline.Device](4), Digest: "sha256", Key: bytes.Repeat([]byte{0x3c}, 64)}},
		}},
		{"state with a service that the LAN reaches by the public name", State{
			Stamp: vecStamp(1), Site: vecSite, SiteName: "home", IPv6Prefix: 64, Sessions: []Session{}, Devices: []Device{}, Services: []Service{},
			Inside: []Inside{{Transport: ownline.TCP, PublicPort: 20443, Target4: netip.MustParseAddrPort("192.168.7.10:443"), Target6: netip.MustParseAddrPort("[fd00:7::10]:443")}, {Transport: ownline.UDP, PublicPort: 20443, Target4: netip.MustParseAddrPort("192.168.7.10:443")}},
		}},
		{"preview", Preview{"server {\n\tserver_name wiki.home.example.org;\n}\n"}},
		{"certificate wanted", CertificateRequest{[]byte{0x30, 0x00}}},
		{"certificate of the internal authority", Certificate{"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"}},
		{"certificate by ACME", Certificate{Chain: "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"}},
		{"try a target", Reach{netip.MustParseAddrPort("192.168.7.12:80")}},
		{"it answered", Reached{Took: 3 * time.Millisecond}},
		{"it refused", Reached{Took: time.Millisecond, Failure: ReachRefused}},
		{"open or renew", Put{vecStamp(42), vecSession}},
		{"pass and code", PutPass{vecStamp(42), vecPass, bytes.Repeat([]byte{0x0c}, 32), bytes.Repeat([]byte{0x57}, 32)}},
		{"opened", Result{ID: vecSession.ID}},
		{"all applied", Results{[]Result{}}},
		{"nothing to tell", Results{}},
		{"one refused", Results{[]Result{
			{ID: vecSession.ID},
			{ID: vecSession6.ID, Problem: ProblemOf(ownline.Conflict("public_port", "53/udp is used by the router itself; choose another port, or let an admin allow it in the grant"))},
		}}},
		{"verdict opens", Verdict{Stamp: vecStamp(43), Status: knock.Opened, Sessions: []Session{vecSession}}},
		{"verdict grants nothing", Verdict{Stamp: vecStamp(43), Status: knock.NothingGranted, Sessions: []Session{}}},
		{"verdict refuses where it came from", Verdict{Stamp: vecStamp(43), Status: knock.Refused, Reason: RefusedPolicy, Sessions: []Session{}}},
		{"verdict opens one service and not another", Verdict{
			Stamp: vecStamp(43), Status: knock.Opened, Sessions: []Session{vecSession},
			Refused: []Refusal{{Service: "dns", ServiceID: vecID[ownline.Service](6), Reason: RefusedByList + "grant"}},
		}},
		{"verdict ignores", Verdict{Stamp: vecStamp(43), Sessions: []Session{}, Ignored: RefusedNoClaim}},
		{"hello", Event{Type: EventHello, Status: &vecStatus}},
		{"knock for everything automatic", Event{Type: EventKnock, Knock: &knocked}},
		{"knock for one service", Event{Type: EventKnock, Knock: &named}},
		{"packet of an fwknop client", Event{Type: EventFwknop, Fwknop: &Fwknop{
			Seq: 9, Device: vecID[ownline.Device](4), Packet: "8" + strings.Repeat("A", 182), Now: vecNow, Source: netip.MustParseAddr("198.51.100.7"), Skew: 2 * time.Minute,
		}}},
		{"session expired", Event{Type: EventEnded, Ended: &Ended{
			ID: vecSession.ID, Reason: ownline.Expired,
			Traffic: ownline.Traffic{UpBytes: 5120, UpPackets: 40, DownBytes: 1_048_576, DownPackets: 800},
		}}},
		{"counters", Event{Type: EventTraffic, Traffic: []Traffic{{vecSession.ID, ownline.Traffic{UpBytes: 512, UpPackets: 4, DownBytes: 4096, DownPackets: 5}}}}},
		{"alive", Event{Type: EventAlive}},
		{"problem with a field", ProblemOf(ownline.Invalid("ipv6_prefix", "not 48 to 128"))},
		{"problem without a field", ProblemOf(ErrStale)},
	}
}

// badMessages must be refused by whoever decodes a command.
var badMessages = []messageVector{
	{Name: "unknown key", Message: "PairRequest", JSON: json.RawMessage(`{"token":"t","force":true}`)},
	{Name: "unknown key beside a request for a certificate", Message: "CertificateRequest", JSON: json.RawMessage(`{"csr":"","names":["a.example.org"]}`)},
	{Name: "unknown key beside the next key", Message: "NextKey", JSON: json.RawMessage(`{"next":"","now":true}`)},
	{Name: "unknown key in a session", Message: "Put", JSON: json.RawMessage(`{"epoch":"e","revision":1,"now":"2026-09-21T14:13:20Z","forever":true}`)},
	{Name: "identifier without hyphens", Message: "Result", JSON: json.RawMessage(`{"id":"0192f0c0de0070008000000000000002"}`)},
	{Name: "source without a length", Message: "Put", JSON: json.RawMessage(`{"source":"198.51.100.7"}`)},
	{Name: "target without a port", Message: "Put", JSON: json.RawMessage(`{"target":"192.168.7.10"}`)},
	{Name: "port beyond 65535", Message: "Put", JSON: json.RawMessage(`{"public_port":65536}`)},
	{Name: "negative revision", Message: "Put", JSON: json.RawMessage(`{"revision":-1}`)},
	{Name: "time without a zone", Message: "Put", JSON: json.RawMessage(`{"now":"2026-09-21T14:13:20"}`)},
	{Name: "unknown option of a service", Message: "State", JSON: json.RawMessage(`{"services":[{"id":"","name":"wiki","options":{"insecure":true}}]}`)},
	{Name: "unknown key in a pass", Message: "PutPass", JSON: json.RawMessage(`{"login":"","admin":true}`)},
	{Name: "secret that is not base64", Message: "State", JSON: json.RawMessage(`{"devices":[{"id":"","secret":"*"}]}`)},
}

func codeVectors() []codeVector {
	const head = "ownline-core://"
	query := "?pin=" + string(vecPin) + "&token=AAECAwQFBgcICQoLDA0ODw"
	good := func(name, host, addr string) codeVector {
		return codeVector{name, head + host + query, true, addr, string(vecPin), "AAECAwQFBgcICQoLDA0ODw"}
	}
	bad := func(name, code string) codeVector { return codeVector{Name: name, Code: code} }
	return []codeVector{
		good("IPv4", "192.168.7.1:57329", "192.168.7.1:57329"),
		good("IPv6", "[fd00:7::1]:57329", "[fd00:7::1]:57329"),
		good("name", "router.lan:57329", "router.lan:57329"),
		good("core dials", "dial", ""),
		bad("nothing", ""),
		bad("another scheme", "https://192.168.7.1:57329"+query),
		bad("no host", head+query),
		bad("no port", head+"192.168.7.1"+query),
		bad("port 0", head+"192.168.7.1:0"+query),
		bad("port 65536", head+"192.168.7.1:65536"+query),
		bad("a path", head+"192.168.7.1:57329/"+query),
		bad("a user", head+"me@192.168.7.1:57329"+query),
		bad("a fragment", head+"192.168.7.1:57329"+query+"#x"),
		bad("no pin", head+"192.168.7.1:57329?token=t"),
		bad("no token", head+"192.168.7.1:57329?pin="+string(vecPin)),
		bad("empty token", head+"192.168.7.1:57329?pin="+string(vecPin)+"&token="),
		bad("token twice", head+"192.168.7.1:57329"+query+"&token=t"),
		bad("one key more", head+"192.168.7.1:57329"+query+"&v=2"),
		bad("pin cut short", head+"192.168.7.1:57329?pin="+string(vecPin[:42])+"&token=t"),
		bad("pin with padding", head+"192.168.7.1:57329?pin="+string(vecPin)+"%3D&token=t"),
		bad("pin with stray bits at its end", head+"192.168.7.1:57329?pin="+string(vecPin[:42])+"9&token=t"),
		bad("a space in front", " "+head+"192.168.7.1:57329"+query),
		bad("a line feed behind", head+"192.168.7.1:57329"+query+"\n"),
	}
}

func makeVectors(t *testing.T) []byte {
	t.Helper()
	v := vectors{Comment: "Made by go test ./internal/link -update; see spec/link-v1.md.", Codes: codeVectors()}
	for _, m := range goodMessages() {
		b, err := json.Marshal(m.v)
		if err != nil {
			t.Fatal(err)
		}
		v.Messages = append(v.Messages, messageVector{m.name, reflect.Indirect(reflect.ValueOf(m.v)).Type().Name(), true, b})
	}
	v.Messages = append(v.Messages, badMessages...)
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func readVectors(t *testing.T) vectors {
	t.Helper()
	made := makeVectors(t)
	if *update {
		if err := os.WriteFile(vectorFile, made, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, made) {
		t.Errorf("%s is not what these tests make; read the difference after go test ./internal/link -update", vectorFile)
	}
	var v vectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// A message means the same to everyone: what is in the file is read strictly, and written
// again it is the same.
func TestMessageVectors(t *testing.T) {
	seen := map[string]int{}
	for _, c := range readVectors(t).Messages {
		zero, ok := messageTypes[c.Message]
		if !ok {
			t.Errorf("%s: no message is called %q", c.Name, c.Message)
			continue
		}
		v := reflect.New(reflect.TypeOf(zero))
		d := json.NewDecoder(bytes.NewReader(c.JSON))
		d.DisallowUnknownFields()
		err := d.Decode(v.Interface())
		if (err == nil) != c.Accept {
			t.Errorf("%s: decoded with %v, want accepted %v", c.Name, err, c.Accept)
		}
		if err != nil || !c.Accept {
			continue
		}
		seen[c.Message]++
		again, err := json.Marshal(v.Interface())
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(plain(t, again), plain(t, c.JSON)) {
			t.Errorf("%s: written again it is %s", c.Name, again)
		}
	}
	for name := range messageTypes {
		if seen[name] == 0 {
			t.Errorf("no vector of %s", name)
		}
	}
}

// plain decodes without losing digits, whatever the order of keys.
func plain(t *testing.T, b []byte) (v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestCodeVectors(t *testing.T) {
	accepted := 0
	for _, c := range readVectors(t).Codes {
		got, err := ParseCode(c.Code)
		switch {
		case (err == nil) != c.Accept:
			t.Errorf("%s: ParseCode = %v, want accepted %v", c.Name, err, c.Accept)
		case err != nil:
			if !errors.Is(err, ownline.ErrInvalid) || strings.Contains(err.Error(), "AAECAw") {
				t.Errorf("%s: error %q is not of kind invalid, or repeats the code", c.Name, err)
			}
		default:
			accepted++
			if want := (Code{c.Addr, Pin(c.Pin), c.Token}); got != want || got.String() != c.Code {
				t.Errorf("%s: ParseCode = %+v, written again %s", c.Name, got, got)
			}
		}
	}
	if accepted == 0 {
		t.Error("no code is accepted")
	}
}

// The status of a reply follows from the kind of its problem.
func TestProblemKinds(t *testing.T) {
	for _, k := range problemKinds {
		p := ProblemOf(k.err)
		if p.Kind != k.kind || p.status() != k.status || !errors.Is(p.Err(), k.err) {
			t.Errorf("%v travels as %+v with status %d and arrives as %v", k.err, p, p.status(), p.Err())
		}
	}
	p := ProblemOf(errors.New("disk full"))
	if p.Kind != internalKind || p.status() != 500 || p.Err() == nil {
		t.Errorf("an unknown error travels as %+v with status %d", p, p.status())
	}
}
