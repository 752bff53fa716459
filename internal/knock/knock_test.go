package knock

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

var update = flag.Bool("update", false, "write spec/vectors anew")

const vectorFile = "../../spec/vectors/knock-v1.json"

// vector is one line of spec/vectors/knock-v1.json, shared by every implementation.
type vector struct {
	Name    string `json:"name"`
	Secret  string `json:"secret"` // hex
	Site    string `json:"site"`
	Packet  string `json:"packet"` // hex
	Accept  bool   `json:"accept"`
	TimeMS  int64  `json:"time_ms,omitempty"`
	Epoch   uint64 `json:"epoch,omitempty"`
	Nonce   string `json:"nonce,omitempty"`
	Claimed string `json:"claimed,omitempty"`
	Answer  bool   `json:"answer_wanted,omitempty"`
	Service string `json:"service,omitempty"`
	Seconds uint32 `json:"duration_s,omitempty"`
	Topic   string `json:"answer_topic,omitempty"`
	Broker  string `json:"broker_password,omitempty"`
}

type answerVector struct {
	Name     string `json:"name"`
	Secret   string `json:"secret"`
	Site     string `json:"site"`
	Asked    string `json:"asked_nonce"`
	Packet   string `json:"packet"`
	Accept   bool   `json:"accept"`
	Nonce    string `json:"nonce,omitempty"`
	Status   Status `json:"status,omitempty"`
	Sessions uint16 `json:"sessions,omitempty"`
	TimeMS   int64  `json:"time_ms,omitempty"`
	Source   string `json:"source,omitempty"`
	ExpiryMS int64  `json:"expires_ms,omitempty"`
}

type vectors struct {
	Comment string         `json:"comment"`
	Knocks  []vector       `json:"knocks"`
	Answers []answerVector `json:"answers"`
}

var (
	testSecret = ownline.Secret(bytes.Repeat([]byte{0x5a, 0xc3}, 16))
	testSite   = ownline.SiteID{0x01, 0x92, 0xf0, 0xc0, 0xde, 0x00, 0x70, 0x00, 0x80, 0x00, 0, 0, 0, 0, 0, 1}
	testSvc    = ownline.ServiceID{0x01, 0x92, 0xf0, 0xc0, 0xde, 0x00, 0x70, 0x00, 0x80, 0x00, 0, 0, 0, 0, 0, 2}
	testTime   = time.UnixMilli(1_790_000_000_123).UTC()
	testNonce  = Nonce{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
)

func testKeys(t testing.TB) *Keys {
	t.Helper()
	k, err := DeriveKeys(testSecret, testSite)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func goodKnocks() map[string]Knock {
	return map[string]Knock{
		"every automatic grant, nothing more": {Nonce: testNonce, Time: testTime},
		"answer wanted":                       {Nonce: testNonce, Time: testTime, AnswerWanted: true},
		"claimed IPv4":                        {Nonce: testNonce, Time: testTime, Claimed: netip.MustParseAddr("198.51.100.7")},
		"claimed IPv6":                        {Nonce: testNonce, Time: testTime, Claimed: netip.MustParseAddr("2001:db8:7::1"), AnswerWanted: true},
		"one service for a while":             {Nonce: testNonce, Time: testTime, Service: testSvc, Duration: 90 * time.Minute},
		"epoch boundary":                      {Nonce: testNonce, Time: time.Unix(1_790_000_400, 0).UTC()},
		"longest duration":                    {Nonce: testNonce, Time: testTime, Duration: (1<<32 - 1) * time.Second},
	}
}

func TestSealOpen(t *testing.T) {
	k := testKeys(t)
	for name, want := range goodKnocks() {
		p := k.Seal(want)
		if got := k.Hint(EpochOf(want.Time)); got != HintValue(p[:HintSize]) {
			t.Errorf("%s: hint %x does not begin packet %x", name, got, p)
		}
		got, err := k.Open(&p)
		if err != nil || got != want {
			t.Errorf("%s: Open(Seal) = %+v, %v; want %+v", name, got, err, want)
		}
	}
}

// sealRaw seals any plaintext, to test what the parser refuses behind a right key.
func sealRaw(k *Keys, edit func(plain []byte)) Packet {
	var plain [plaintextSize]byte
	plain[atVersion] = version
	binary.BigEndian.PutUint64(plain[atTime:], uint64(testTime.UnixMilli()))
	edit(plain[:])
	return sealPacket(k.seal, k.Hint(EpochOf(testTime)), testNonce, &plain)
}

func badKnocks(t testing.TB) map[string]Packet {
	k := testKeys(t)
	otherSite, err := DeriveKeys(testSecret, ownline.SiteID{9})
	if err != nil {
		t.Fatal(err)
	}
	good := Knock{Nonce: testNonce, Time: testTime}
	bad := map[string]Packet{
		"sealed for another site":         otherSite.Seal(good),
		"version 2":                       sealRaw(k, func(p []byte) { p[atVersion] = 2 }),
		"version 0":                       sealRaw(k, func(p []byte) { p[atVersion] = 0 }),
		"unknown flag":                    sealRaw(k, func(p []byte) { p[atFlags] = 4 }),
		"reserved bytes":                  sealRaw(k, func(p []byte) { p[atReserved+1] = 1 }),
		"first byte of the rest":          sealRaw(k, func(p []byte) { p[atRest] = 1 }),
		"last byte of the rest":           sealRaw(k, func(p []byte) { p[plaintextSize-1] = 1 }),
		"claimed source without its flag": sealRaw(k, func(p []byte) { p[atClaimed+15] = 1 }),
		"flag without claimed source":     sealRaw(k, func(p []byte) { p[atFlags] = flagClaimed }),
		"claimed 0.0.0.0":                 sealRaw(k, func(p []byte) { p[atFlags] = flagClaimed; p[atClaimed+10], p[atClaimed+11] = 0xff, 0xff }),
		"time beyond the year 9999":       sealRaw(k, func(p []byte) { p[atTime] = 0x7f }),
	}
	for _, at := range []int{0, HintSize, HintSize + NonceSize, Size - 17, Size - 1} {
		p := k.Seal(good)
		p[at] ^= 1
		bad["bit flipped in byte "+string('A'+rune(at/8))] = p
	}
	return bad
}

func TestOpenRejects(t *testing.T) {
	k := testKeys(t)
	for name, p := range badKnocks(t) {
		if got, err := k.Open(&p); !errors.Is(err, ErrRejected) || got != (Knock{}) {
			t.Errorf("%s: Open = %+v, %v; want ErrRejected and nothing else", name, got, err)
		}
	}
}

func TestAnswer(t *testing.T) {
	k := testKeys(t)
	want := Answer{Status: Renewed, Sessions: 3, Time: testTime, Source: netip.MustParseAddr("198.51.100.7"), Expires: testTime.Add(time.Hour)}
	sealed := k.SealAnswer(testNonce, Nonce{42}, want)
	p := sealed
	if got, err := k.OpenAnswer(&p, testNonce); err != nil || got != want {
		t.Errorf("OpenAnswer = %+v, %v; want %+v", got, err, want)
	}
	p = sealed
	if _, err := k.OpenAnswer(&p, Nonce{7}); !errors.Is(err, ErrRejected) {
		t.Errorf("answer to another knock: %v, want ErrRejected", err)
	}
	p = sealed
	if _, err := k.Open(&p); !errors.Is(err, ErrRejected) {
		t.Errorf("answer taken for a knock: %v", err)
	}
	p = sealed
	p[100] ^= 1
	if _, err := k.OpenAnswer(&p, testNonce); !errors.Is(err, ErrRejected) {
		t.Errorf("changed answer: %v, want ErrRejected", err)
	}
}

func TestBadPacketsAllocateNothing(t *testing.T) {
	k := testKeys(t)
	sealed := k.Seal(Knock{Nonce: testNonce, Time: testTime})
	sealed[Size-1] ^= 1
	p := new(Packet)
	if n := testing.AllocsPerRun(100, func() { *p = sealed; _, _ = k.Open(p) }); n != 0 {
		t.Errorf("a bad packet allocates %v times", n)
	}
}

func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	b, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Knocks) < 15 || len(v.Answers) < 5 {
		t.Fatalf("only %d knocks and %d answers in %s", len(v.Knocks), len(v.Answers), vectorFile)
	}
	for _, c := range v.Knocks {
		k, p := vectorKeys(t, c.Secret, c.Site), vectorPacket(t, c.Packet)
		sealed := p
		got, err := k.Open(&p)
		if (err == nil) != c.Accept {
			t.Errorf("%s: Open = %v, want accepted %v", c.Name, err, c.Accept)
		}
		if err == nil && knockVector(k, c.Name, got, sealed) != c {
			t.Errorf("%s: opened as %+v", c.Name, got)
		}
		if err == nil && k.Seal(got) != sealed {
			t.Errorf("%s: sealed again it is another packet", c.Name)
		}
	}
	for _, c := range v.Answers {
		k, p := vectorKeys(t, c.Secret, c.Site), vectorPacket(t, c.Packet)
		sealed := p
		got, err := k.OpenAnswer(&p, vectorNonce(t, c.Asked))
		if (err == nil) != c.Accept {
			t.Errorf("%s: OpenAnswer = %v, want accepted %v", c.Name, err, c.Accept)
		}
		if err == nil && fromAnswer(c.Name, vectorNonce(t, c.Asked), got, sealed) != c {
			t.Errorf("%s: opened as %+v", c.Name, got)
		}
	}
}

func vectorKeys(t *testing.T, secret, site string) *Keys {
	t.Helper()
	s, err := hex.DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	id, err := ownline.ParseID[ownline.Site](site)
	if err != nil {
		t.Fatal(err)
	}
	k, err := DeriveKeys(s, id)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func vectorPacket(t *testing.T, s string) Packet {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != Size {
		t.Fatalf("packet %q: %v", s, err)
	}
	return Packet(b)
}

func vectorNonce(t *testing.T, s string) Nonce {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != NonceSize {
		t.Fatalf("nonce %q: %v", s, err)
	}
	return Nonce(b)
}

func knockVector(k *Keys, name string, n Knock, p Packet) vector {
	c := vector{
		Name: name, Secret: hex.EncodeToString(testSecret), Site: testSite.String(), Packet: hex.EncodeToString(p[:]),
		Accept: true, TimeMS: n.Time.UnixMilli(), Epoch: EpochOf(n.Time), Nonce: hex.EncodeToString(n.Nonce[:]),
		Answer: n.AnswerWanted, Seconds: uint32(n.Duration / time.Second), Topic: k.AnswerTopic(n.Nonce),
	}
	if password, err := BrokerPassword(testSecret, testSite); err == nil {
		c.Broker = string(password)
	}
	if n.Claimed.IsValid() {
		c.Claimed = n.Claimed.String()
	}
	if !n.Service.IsZero() {
		c.Service = n.Service.String()
	}
	return c
}

func fromAnswer(name string, asked Nonce, a Answer, p Packet) answerVector {
	c := answerVector{
		Name: name, Secret: hex.EncodeToString(testSecret), Site: testSite.String(), Asked: hex.EncodeToString(asked[:]),
		Packet: hex.EncodeToString(p[:]), Accept: true, Nonce: hex.EncodeToString(p[HintSize : HintSize+NonceSize]),
		Status: a.Status, Sessions: a.Sessions, TimeMS: a.Time.UnixMilli(), Source: a.Source.String(),
	}
	if !a.Expires.IsZero() {
		c.ExpiryMS = a.Expires.UnixMilli()
	}
	return c
}

func writeVectors(t *testing.T) {
	k := testKeys(t)
	v := vectors{Comment: "Made by go test ./internal/knock -update; see spec/knock-v1.md."}
	for _, name := range sortedKeys(goodKnocks()) {
		n := goodKnocks()[name]
		v.Knocks = append(v.Knocks, knockVector(k, name, n, k.Seal(n)))
	}
	bad := badKnocks(t)
	for _, name := range sortedKeys(bad) {
		p := bad[name]
		v.Knocks = append(v.Knocks, vector{Name: name, Secret: hex.EncodeToString(testSecret), Site: testSite.String(), Packet: hex.EncodeToString(p[:])})
	}
	for name, a := range map[string]Answer{"opened": {Status: Opened, Sessions: 2}, "renewed": {Status: Renewed, Sessions: 1}, "nothing granted": {Status: NothingGranted}, "refused": {Status: Refused}, "inside": {Status: Inside}} {
		a.Time, a.Source = testTime, netip.MustParseAddr("2001:db8:7::1")
		if a.Sessions > 0 {
			a.Expires, a.Source = testTime.Add(30*time.Minute), netip.MustParseAddr("198.51.100.7")
		}
		v.Answers = append(v.Answers, fromAnswer(name, testNonce, a, k.SealAnswer(testNonce, Nonce{byte(a.Status)}, a)))
	}
	sortAnswers(v.Answers)
	for name, edit := range map[string]func(p []byte){
		"answer of status 0": func(p []byte) { p[atStatus] = 0 }, "answer of status 6": func(p []byte) { p[atStatus] = 6 },
		"answer with its last byte set": func(p []byte) { p[plaintextSize-1] = 1 }, "answer of version 2": func(p []byte) { p[atVersion] = 2 },
	} {
		var plain [plaintextSize]byte
		plain[atVersion], plain[atStatus] = version, 1
		edit(plain[:])
		p := sealPacket(k.answer, k.answerTag(testNonce), Nonce{9}, &plain)
		v.Answers = append(v.Answers, answerVector{Name: name, Secret: hex.EncodeToString(testSecret), Site: testSite.String(), Asked: hex.EncodeToString(testNonce[:]), Packet: hex.EncodeToString(p[:])})
	}
	sortAnswers(v.Answers)
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(vectorFile, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func FuzzOpen(f *testing.F) {
	k := testKeys(f)
	for _, n := range goodKnocks() {
		p := k.Seal(n)
		f.Add(p[HintSize+NonceSize : HintSize+NonceSize+plaintextSize])
	}
	// The fuzzer works on plaintexts: behind the tag nothing else would ever be reached.
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != plaintextSize {
			return
		}
		p := sealPacket(k.seal, k.Hint(EpochOf(testTime)), testNonce, (*[plaintextSize]byte)(b))
		n, err := k.Open(&p)
		if err != nil {
			return
		}
		again := k.Seal(n)
		plain, err := openPacket(k.seal, &again)
		if err != nil || !bytes.Equal(plain[:], b) {
			t.Fatalf("%x opens as %+v, which is sealed as %x", b, n, plain)
		}
	})
}

func FuzzFromMessage(f *testing.F) {
	p := testKeys(f).Seal(goodKnocks()["answer wanted"])
	f.Add(p[:])
	f.Add([]byte(base64.RawURLEncoding.EncodeToString(p[:])))
	f.Add([]byte(base64.URLEncoding.EncodeToString(p[:])))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, ok := FromMessage(b)
		if ok && !bytes.Equal(got[:], b) && base64.RawURLEncoding.EncodeToString(got[:]) != string(b) {
			t.Fatalf("%q is read as %x", b, got)
		}
	})
}

func FuzzOpenAnswer(f *testing.F) {
	k := testKeys(f)
	p := k.SealAnswer(testNonce, Nonce{1}, Answer{Status: Opened, Time: testTime})
	f.Add(p[:])
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != Size {
			return
		}
		p := Packet(b)
		if _, err := k.OpenAnswer(&p, testNonce); err != nil && !errors.Is(err, ErrRejected) {
			t.Fatalf("unexpected error %v", err)
		}
	})
}
