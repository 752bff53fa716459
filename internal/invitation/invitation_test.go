package invitation

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

var update = flag.Bool("update", false, "write spec/vectors anew")

const vectorFile = "../../spec/vectors/invitation-v1.json"

// The vectors are shared by every implementation: see spec/invitation-v1.md.
type vectors struct {
	Comment string        `json:"comment"`
	Keys    keyVector     `json:"keys"`
	Asks    []askVector   `json:"asks"`
	Replies []replyVector `json:"replies"`
}

type keyVector struct {
	Secret      string `json:"secret"` // as behind the # of a link
	Keys        string `json:"keys"`   // hex: seal, hint, answer
	Hash        string `json:"hash"`
	Epoch       uint64 `json:"epoch"`
	Hint        string `json:"hint"`
	Nonce       string `json:"nonce"`
	AnswerTopic string `json:"answer_topic"`
}

type askVector struct {
	Name    string `json:"name"`
	Message string `json:"message"` // hex
	Accept  bool   `json:"accept"`
	Kind    Kind   `json:"kind,omitempty"`
	Nonce   string `json:"nonce,omitempty"`
	TimeMS  int64  `json:"time_ms,omitempty"`
	Source  string `json:"source,omitempty"`
}

type replyVector struct {
	Name    string `json:"name"`
	Asked   string `json:"asked_nonce"`
	Message string `json:"message"` // hex
	Accept  bool   `json:"accept"`
	Nonce   string `json:"nonce,omitempty"`
	Reply   *Reply `json:"reply,omitempty"`
}

var (
	testSecret = ownline.Secret(bytes.Repeat([]byte{0x5a, 0xc3}, 16))
	testTime   = time.UnixMilli(1_790_000_000_123).UTC()
	testNonce  = Nonce{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	otherNonce = Nonce{12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1}
)

func testKeys(t testing.TB, secret ownline.Secret) *Keys {
	t.Helper()
	derived, err := Derive(secret)
	if err != nil {
		t.Fatal(err)
	}
	k, err := ParseKeys(derived)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func goodAsks() map[string]Ask {
	return map[string]Ask{
		"show, IPv4":     {Show, testNonce, testTime, netip.MustParseAddr("198.51.100.7")},
		"redeem, IPv4":   {Redeem, testNonce, testTime, netip.MustParseAddr("198.51.100.7")},
		"redeem, IPv6":   {Redeem, testNonce, testTime, netip.MustParseAddr("2001:db8:7::1")},
		"epoch boundary": {Redeem, testNonce, time.Unix(1_790_000_400, 0).UTC(), netip.MustParseAddr("198.51.100.7")},
	}
}

// raw seals any plaintext, to test what the parser refuses behind a right key.
func raw(k *Keys, edit func(plain []byte)) []byte {
	plain := make([]byte, askPlain)
	plain[atVersion], plain[atKind] = version, byte(Redeem)
	binary.BigEndian.PutUint64(plain[atTime:], uint64(testTime.UnixMilli()))
	source := netip.MustParseAddr("198.51.100.7").As16()
	copy(plain[atSource:], source[:])
	edit(plain)
	return k.sealAsk(k.Hint(EpochOf(testTime)), testNonce, plain)
}

func badAsks(t testing.TB) map[string][]byte {
	k := testKeys(t, testSecret)
	good := k.SealAsk(goodAsks()["redeem, IPv4"])
	flip := func(at int) []byte { b := slices.Clone(good); b[at] ^= 1; return b }
	return map[string][]byte{
		"of another link":       testKeys(t, make(ownline.Secret, 32)).SealAsk(goodAsks()["redeem, IPv4"]),
		"version 2":             raw(k, func(p []byte) { p[atVersion] = 2 }),
		"kind 0":                raw(k, func(p []byte) { p[atKind] = 0 }),
		"kind 3":                raw(k, func(p []byte) { p[atKind] = 3 }),
		"reserved bytes":        raw(k, func(p []byte) { p[atReserved] = 1 }),
		"the last byte":         raw(k, func(p []byte) { p[askPlain-1] = 1 }),
		"no source":             raw(k, func(p []byte) { clear(p[atSource:atRest]) }),
		"source 0.0.0.0":        raw(k, func(p []byte) { clear(p[atSource+12 : atRest]) }),
		"after the year 9999":   raw(k, func(p []byte) { p[atTime] = 1 }),
		"hint of another epoch": raw(k, func(p []byte) { binary.BigEndian.PutUint64(p[atTime:], uint64(testTime.Add(Epoch).UnixMilli())) }),
		"hint changed":          flip(0),
		"nonce changed":         flip(HintSize),
		"ciphertext changed":    flip(HintSize + NonceSize),
		"tag changed":           flip(AskSize - 1),
		"too short":             good[:AskSize-1],
		"too long":              append(slices.Clone(good), 0),
		"a reply":               make([]byte, ReplySize),
		"empty":                 {},
	}
}

func goodReplies() map[string]Reply {
	return map[string]Reply{
		"valid": {
			Status: Valid, Time: testTime.UnixMilli(), Host: "home.example.org", Service: "photos", Icon: "image", From: "ana", Message: "Mind the dog <3 «ñ»\nBye",
			Seconds: 1800, Until: testTime.UnixMilli() + 86_400_000, Left: 1, Families: []int{4, 6},
		},
		"opened": {
			Status: Opened, Time: testTime.UnixMilli(), Host: "home.example.org", Service: "photos", From: "ana", Seconds: 1800,
			Transport: "tcp", Port: 20443, Expires: testTime.UnixMilli() + 1_800_000, Source: "198.51.100.7/32",
		},
		"refused": {Status: Refused, Detail: "this invitation is not for guests from where you are", Time: testTime.UnixMilli()},
		"clock":   {Status: Clock, Time: testTime.UnixMilli()},
		"the largest": {
			Status: Opened, Time: maxTime, Host: strings.Repeat("h", 253), Service: strings.Repeat("s", 63), Icon: "thermometer", From: strings.Repeat("f", 64),
			Message: strings.Repeat("𝄞", 240), Seconds: 31_622_400, Until: maxTime, Left: 1000, Families: []int{4, 6},
			Transport: "tcp", Port: 65535, Expires: maxTime, Source: "2001:0db8:0000:0000:0000:0000:0000:0000/128",
		},
	}
}

func rawReply(k *Keys, edit func(plain []byte)) []byte {
	plain := make([]byte, maxReply)
	text := `{"status":"clock","time":1}`
	binary.BigEndian.PutUint16(plain, uint16(len(text)))
	copy(plain[2:], text)
	edit(plain)
	return k.sealReply(k.answerTag(testNonce), otherNonce, plain)
}

func badReplies(t testing.TB) map[string][]byte {
	k := testKeys(t, testSecret)
	good, err := k.SealReply(testNonce, otherNonce, goodReplies()["clock"])
	if err != nil {
		t.Fatal(err)
	}
	toAnother, err := k.SealReply(otherNonce, otherNonce, goodReplies()["clock"])
	if err != nil {
		t.Fatal(err)
	}
	flip := func(at int) []byte { b := slices.Clone(good); b[at] ^= 1; return b }
	return map[string][]byte{
		"to another ask":      toAnother,
		"not JSON":            rawReply(k, func(p []byte) { p[2] = '[' }),
		"longer than it is":   rawReply(k, func(p []byte) { binary.BigEndian.PutUint16(p, 0xffff) }),
		"something behind it": rawReply(k, func(p []byte) { p[maxReply-1] = 1 }),
		"empty":               rawReply(k, func(p []byte) { clear(p) }),
		"tag changed":         flip(ReplySize - 1),
		"beginning changed":   flip(0),
		"too short":           good[:ReplySize-1],
	}
}

func TestAsks(t *testing.T) {
	k := testKeys(t, testSecret)
	for name, want := range goodAsks() {
		m := k.SealAsk(want)
		hint, ok := HintOf(m)
		if got, err := k.OpenAsk(m); err != nil || got != want || !ok || hint != k.Hint(EpochOf(want.Time)) {
			t.Errorf("%s: OpenAsk(SealAsk) = %+v, %v; want %+v", name, got, err, want)
		}
	}
	for name, m := range badAsks(t) {
		if got, err := k.OpenAsk(m); !errors.Is(err, ErrRejected) {
			t.Errorf("%s: OpenAsk = %+v, %v", name, got, err)
		}
	}
}

func TestReplies(t *testing.T) {
	k := testKeys(t, testSecret)
	for name, want := range goodReplies() {
		m, err := k.SealReply(testNonce, otherNonce, want)
		if err != nil || len(m) != ReplySize {
			t.Fatalf("%s: %d bytes, %v", name, len(m), err)
		}
		got, err := k.OpenReply(m, testNonce)
		g, _ := json.Marshal(got)
		w, _ := json.Marshal(want)
		if err != nil || !bytes.Equal(g, w) {
			t.Errorf("%s: OpenReply(SealReply) = %s, %v; want %s", name, g, err, w)
		}
	}
	for name, m := range badReplies(t) {
		if got, err := k.OpenReply(m, testNonce); !errors.Is(err, ErrRejected) {
			t.Errorf("%s: OpenReply = %+v, %v", name, got, err)
		}
	}
	if _, err := k.SealReply(testNonce, otherNonce, Reply{Detail: strings.Repeat("x", maxReply)}); err == nil {
		t.Error("a reply that is too long is cut off")
	}
}

func TestSecret(t *testing.T) {
	s := FormatSecret(testSecret)
	if got, err := ParseSecret(s); err != nil || !bytes.Equal(got, testSecret) {
		t.Errorf("ParseSecret(%s) = %v", s, err)
	}
	for _, bad := range []string{"", s[:42], s + "A", s[:42] + "!", s[:42] + "x", strings.Repeat("A", 44)} {
		_, err := ParseSecret(bad)
		if !errors.Is(err, ownline.ErrInvalid) || bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("ParseSecret(%q) = %v", bad, err)
		}
	}
}

func TestFresh(t *testing.T) {
	for d, want := range map[time.Duration]bool{0: true, Window: true, -Window: true, Window + time.Millisecond: false, -Window - time.Millisecond: false} {
		if Fresh(testTime, testTime.Add(d)) != want {
			t.Errorf("fresh after %s: %t", d, !want)
		}
	}
}

func makeVectors(t *testing.T) vectors {
	k := testKeys(t, testSecret)
	derived, err := Derive(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	hint := k.Hint(EpochOf(testTime))
	v := vectors{
		Comment: "Made by go test ./internal/invitation -update; see spec/invitation-v1.md.",
		Keys: keyVector{
			Secret: FormatSecret(testSecret), Keys: hex.EncodeToString(derived), Hash: hex.EncodeToString(Hash(testSecret)), Epoch: EpochOf(testTime),
			Hint: hex.EncodeToString(hint[:]), Nonce: hex.EncodeToString(testNonce[:]), AnswerTopic: k.AnswerTopic(testNonce),
		},
	}
	for name, a := range goodAsks() {
		v.Asks = append(v.Asks, askVector{name, hex.EncodeToString(k.SealAsk(a)), true, a.Kind, hex.EncodeToString(a.Nonce[:]), a.Time.UnixMilli(), a.Source.String()})
	}
	for name, m := range badAsks(t) {
		v.Asks = append(v.Asks, askVector{Name: name, Message: hex.EncodeToString(m)})
	}
	asked, nonce := hex.EncodeToString(testNonce[:]), hex.EncodeToString(otherNonce[:])
	for name, r := range goodReplies() {
		m, err := k.SealReply(testNonce, otherNonce, r)
		if err != nil {
			t.Fatal(err)
		}
		v.Replies = append(v.Replies, replyVector{name, asked, hex.EncodeToString(m), true, nonce, &r})
	}
	for name, m := range badReplies(t) {
		v.Replies = append(v.Replies, replyVector{Name: name, Asked: asked, Message: hex.EncodeToString(m)})
	}
	slices.SortFunc(v.Asks, func(a, b askVector) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(v.Replies, func(a, b replyVector) int { return strings.Compare(a.Name, b.Name) })
	return v
}

// The vectors are what this package does; other implementations are held to them.
func TestVectors(t *testing.T) {
	want, err := json.MarshalIndent(makeVectors(t), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(vectorFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(vectorFile)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what the code does (%v); a difference is a change of the contract", vectorFile, err)
	}
}

// No message makes the parser panic, and what it takes has one encoding.
func FuzzOpenAsk(f *testing.F) {
	k := testKeys(f, testSecret)
	for _, m := range badAsks(f) {
		f.Add(m, true)
	}
	for _, a := range goodAsks() {
		m := k.SealAsk(a)
		f.Add(m, false)
		f.Add(m[HintSize+NonceSize:AskSize-tagSize], true)
	}
	f.Fuzz(func(t *testing.T, b []byte, sealed bool) {
		m := b
		if sealed { // what only a holder of the link can send
			plain := make([]byte, askPlain)
			copy(plain, b)
			ms := min(binary.BigEndian.Uint64(plain[atTime:]), maxTime)
			m = k.sealAsk(k.Hint(EpochOf(time.UnixMilli(int64(ms)))), testNonce, plain)
		}
		a, err := k.OpenAsk(m)
		if err == nil && !bytes.Equal(k.SealAsk(a), m) {
			t.Errorf("%x has another encoding", m)
		}
	})
}

func FuzzOpenReply(f *testing.F) {
	k := testKeys(f, testSecret)
	f.Add([]byte(`{"status":"clock","time":1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		plain := make([]byte, maxReply)
		binary.BigEndian.PutUint16(plain, uint16(len(text)))
		copy(plain[2:], text)
		if r, err := k.OpenReply(k.sealReply(k.answerTag(testNonce), otherNonce, plain), testNonce); err == nil && r.Status == "" {
			t.Error("a reply without a status")
		}
	})
}
