package fwknop

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
)

// Request is what a packet asks: let an address in at these ports of the router.
type Request struct {
	Nonce    knock.Nonce // another one for every packet
	Username string      // as the client says; it proves nothing
	Time     time.Time   // when it was made; whole seconds
	Source   netip.Addr  // IPv4, as the client says; zero: where the packet comes from
	Ports    []Port      // at least one
	Target   Target      // behind the one port; zero: whatever that leads to
	Duration time.Duration
}

// Port is one of the router's.
type Port struct {
	Transport ownline.Transport
	Number    uint16
}

// Target is what a client wants to reach in the LAN. It is compared with what is configured, and
// never looked up.
type Target struct {
	Host string // an IPv4 address or a name; "": none
	Port uint16
}

// The types of message. Those for a port of the router itself, and commands, are not taken.
const (
	access        = "1"
	natAccess     = "2"
	timedAccess   = "3"
	timedNAT      = "4"
	plainFields   = 7 // of access: random, user, time, version, type, message, digest
	mostFields    = 10
	mostEncoded   = 256 // characters of a field
	mostUser      = 64
	mostTimeout   = 65536 // seconds
	randomDigits  = 16
	versionLength = 8
)

// parse reads a plaintext, of which every value has one encoding.
func parse(plain []byte) (r Request, err error) {
	for _, c := range plain {
		if c < ' ' || c > '~' {
			return r, wrongKey
		}
	}
	end := bytes.LastIndexByte(plain, ':')
	if end < 0 || bytes.Count(plain, []byte{':'}) > mostFields-1 {
		return r, rejected("it has not the fields of a message")
	}
	if !digestOf(plain[:end], plain[end+1:]) {
		return r, rejected("its digest is wrong")
	}
	f := strings.Split(string(plain), ":")
	if len(f) < plainFields {
		return r, rejected("it has not the fields of a message")
	}
	if len(f[0]) != randomDigits || strings.Trim(f[0], "0123456789") != "" {
		return r, rejected("its random value is none")
	}
	if r.Username, err = username(f[1]); err != nil {
		return r, err
	}
	made, ok := number(f[2], 1<<32-1)
	if !ok {
		return r, rejected("its time is none")
	}
	r.Time = time.Unix(int64(made), 0).UTC()
	if f[3] == "" || len(f[3]) > versionLength || strings.Trim(f[3], "0123456789.") != "" {
		return r, rejected("its version is none")
	}
	nat, timed := f[4] == natAccess || f[4] == timedNAT, f[4] == timedAccess || f[4] == timedNAT
	if f[4] != access && !nat && !timed {
		return r, rejected("it is no request for access, with or without a target")
	}
	want := plainFields
	for _, more := range []bool{nat, timed} {
		if more {
			want++
		}
	}
	if len(f) != want {
		return r, rejected("it has not the fields of its type")
	}
	if r.Source, r.Ports, err = message(f[5]); err != nil {
		return r, err
	}
	if nat {
		if len(r.Ports) != 1 {
			return r, rejected("it names a target behind several ports")
		}
		if r.Target, err = target(f[6]); err != nil {
			return r, err
		}
	}
	if timed {
		seconds, ok := number(f[want-2], mostTimeout)
		if !ok {
			return r, rejected("its timeout is none")
		}
		r.Duration = time.Duration(seconds) * time.Second
	}
	return r, nil
}

// digestOf reports whether sum is the digest of text: of the kind that its length tells. It has no
// key, and tells only that decryption went well.
func digestOf(text, sum []byte) bool {
	is := func(d []byte) bool {
		return subtle.ConstantTimeCompare(base64.RawStdEncoding.AppendEncode(nil, d), sum) == 1
	}
	switch len(sum) {
	case 22:
		d := md5.Sum(text)
		return is(d[:])
	case 27:
		d := sha1.Sum(text)
		return is(d[:])
	case 43:
		d, d3 := sha256.Sum256(text), sha3.Sum256(text)
		return is(d[:]) || is(d3[:])
	case 64:
		d := sha512.Sum384(text)
		return is(d[:])
	case 86:
		d, d3 := sha512.Sum512(text), sha3.Sum512(text)
		return is(d[:]) || is(d3[:])
	}
	return false
}

// decode reads an encoded field of at most so many characters.
func decode(s string, most int) (string, bool) {
	if s == "" || len(s) > most {
		return "", false
	}
	b, err := base64.RawStdEncoding.Strict().DecodeString(s)
	return string(b), err == nil
}

func username(s string) (string, error) {
	u, ok := decode(s, mostUser)
	if !ok || strings.ContainsFunc(u, func(c rune) bool { return c < ' ' || c > '~' || strings.ContainsRune(`"/\[]:;|=,+*?<>`, c) }) {
		return "", rejected("its user name is none")
	}
	return u, nil
}

// number reads a positive decimal number without zeros in front.
func number(s string, most uint64) (uint64, bool) {
	if s == "" || s[0] == '0' || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil && n <= most
}

// message reads "ADDRESS,tcp/PORT,udp/PORT…".
func message(s string) (source netip.Addr, ports []Port, err error) {
	m, ok := decode(s, mostEncoded)
	if !ok {
		return source, nil, rejected("its message can't be read")
	}
	address, rest, _ := strings.Cut(m, ",")
	source, err = netip.ParseAddr(address)
	if err != nil || !source.Is4() || source.IsLoopback() || source.As4()[0] >= 224 {
		return source, nil, rejected("its address is no IPv4 address of a client")
	}
	if source.IsUnspecified() {
		source = netip.Addr{}
	}
	for _, p := range strings.Split(rest, ",") {
		transport, port, _ := strings.Cut(p, "/")
		n, ok := number(port, 1<<16-1)
		if !ok || transport != string(ownline.TCP) && transport != string(ownline.UDP) {
			return source, nil, rejected("it asks for something else than tcp/PORT and udp/PORT")
		}
		ports = append(ports, Port{ownline.Transport(transport), uint16(n)})
	}
	return source, ports, nil
}

// target reads "HOST,PORT".
func target(s string) (t Target, err error) {
	m, ok := decode(s, mostEncoded)
	host, port, _ := strings.Cut(m, ",")
	n, isPort := number(port, 1<<16-1)
	if !ok || !isPort || host == "" || strings.ContainsFunc(host, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '-')
	}) {
		return t, rejected("its target is neither ADDRESS,PORT nor NAME,PORT")
	}
	if _, err := netip.ParseAddr(host); err != nil && strings.Trim(host, "0123456789.") == "" {
		return t, rejected("its target is no IPv4 address as one writes them")
	}
	return Target{host, uint16(n)}, nil
}
