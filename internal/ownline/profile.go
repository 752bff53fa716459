package ownline

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// SecretSize is the length of a device's secret, in bytes.
const SecretSize = 32

const profileScheme = "ownline"

// Profile is all that a device needs to knock at one site. It holds the device's secret.
type Profile struct {
	Host   string // name or address that knocks go to
	Port   uint16 // UDP
	Site   SiteID
	Device DeviceID
	Key    Secret // 32 bytes
	Name   string // for people
	Broker Broker // for networks from which no UDP gets to the site
}

// Broker is an MQTT broker that devices may knock through. The zero Broker is none.
type Broker struct {
	URL         string // tcp://, tls://, ws:// or wss://, with neither user nor query
	Topic       string // of knocks; "": DefaultTopic
	Username    string // "": none
	Password    Secret
	Authority   []byte   // a certificate (DER) of who vouches for the broker beside the system's authorities; nil: nobody
	AddressURLs []string // services that tell the device its public address: https:// or stun:HOST:PORT
}

// MaxProfile is the length of the longest profile that is read, in bytes.
const MaxProfile = 8 << 10

// DefaultTopic is what devices publish knocks to, if nothing else is said.
const DefaultTopic = "ownline/knock"

// URI writes the profile as ownline://HOST:PORT/?v=1&site=…&device=…&key=…&name=…, and with
// a broker &mqtt=…&topic=…&user=…&password=…&ca=…&address=… as far as they are set. The result is a secret: show it to its owner, once.
func (p Profile) URI() string {
	u := url.URL{
		Scheme: profileScheme, Host: net.JoinHostPort(p.Host, strconv.Itoa(int(p.Port))), Path: "/",
		RawQuery: "v=1&site=" + p.Site.String() + "&device=" + p.Device.String() +
			"&key=" + base64.RawURLEncoding.EncodeToString(p.Key) + "&name=" + url.QueryEscape(p.Name) + p.Broker.query(),
	}
	return u.String()
}

// secretParts are the keys of a profile's URI whose values are secrets.
var secretParts = []string{"key", "password"}

// Split cuts a profile in two: the URI without its secrets, which is no secret itself, and the
// secrets. JoinProfile puts them together again.
func (p Profile) Split() (open, secret string) {
	u, err := url.Parse(p.URI())
	if err != nil {
		panic(err) // URI has just written it
	}
	var parts [2][]string
	for part := range strings.SplitSeq(u.RawQuery, "&") {
		i := 0
		if name, _, _ := strings.Cut(part, "="); slices.Contains(secretParts, name) {
			i = 1
		}
		parts[i] = append(parts[i], part)
	}
	u.RawQuery = strings.Join(parts[0], "&")
	return u.String(), strings.Join(parts[1], "&")
}

// JoinProfile reads what Split made. Without the secret the profile has no key.
func JoinProfile(open, secret string) (Profile, error) {
	if secret == "" {
		return parseProfile(open, false)
	}
	return parseProfile(open+"&"+secret, true)
}

func (b Broker) query() string {
	if b.URL == "" {
		return ""
	}
	q := "&mqtt=" + url.QueryEscape(b.URL)
	for _, part := range []struct{ key, value string }{{"topic", b.Topic}, {"user", b.Username}, {"password", string(b.Password)}} {
		if part.value != "" {
			q += "&" + part.key + "=" + url.QueryEscape(part.value)
		}
	}
	if len(b.Authority) > 0 {
		q += "&ca=" + base64.RawURLEncoding.EncodeToString(b.Authority)
	}
	for _, a := range b.AddressURLs {
		q += "&address=" + url.QueryEscape(a)
	}
	return q
}

func parseBroker(q url.Values) (Broker, error) {
	if q.Get("mqtt") == "" {
		return Broker{}, nil
	}
	b := Broker{URL: q.Get("mqtt"), Topic: q.Get("topic"), Username: q.Get("user"), Password: Secret(q.Get("password")), AddressURLs: q["address"]}
	if u, err := url.Parse(b.URL); err != nil || u.Hostname() == "" || u.User != nil || !slices.Contains([]string{"tcp", "tls", "ws", "wss"}, u.Scheme) {
		return Broker{}, Invalid("profile", "the broker is not an address like tls://broker.example.org:8883")
	}
	if ca := q.Get("ca"); ca != "" {
		var err error
		if b.Authority, err = base64.RawURLEncoding.Strict().DecodeString(ca); err != nil {
			return Broker{}, Invalid("profile", "the certificate of who vouches for the broker is damaged")
		}
	}
	for _, a := range b.AddressURLs {
		if u, err := url.Parse(a); err != nil || !slices.Contains([]string{"https", "stun"}, u.Scheme) {
			return Broker{}, Invalid("profile", "what tells addresses is neither https:// nor stun:")
		}
	}
	return b, nil
}

// ParseProfile reads what URI writes. Keys that it does not know are ignored, so that a
// profile may carry more one day; errors are about the field "profile" and never repeat it.
func ParseProfile(s string) (Profile, error) { return parseProfile(s, true) }

func parseProfile(s string, withKey bool) (Profile, error) {
	bad := func(detail string) (Profile, error) { return Profile{}, Invalid("profile", detail) }
	if len(s) > MaxProfile {
		return bad(fmt.Sprintf("is longer than %d bytes; is it a profile?", MaxProfile))
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != profileScheme || u.User != nil {
		return bad("not an ownline:// address")
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || port == 0 || u.Hostname() == "" {
		return bad("needs a host and a port of 1 to 65535")
	}
	// net/url takes colons outside of brackets for a part of the name, which has none (RFC 3986, section 3.2.2).
	if strings.Contains(u.Hostname(), ":") && !strings.HasPrefix(u.Host, "[") {
		return bad("an IPv6 address as host stands in brackets, as in [2001:db8::1]")
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil || q.Get("v") != "1" {
		return bad("is not of version 1")
	}
	p := Profile{Host: u.Hostname(), Port: uint16(port), Name: q.Get("name")}
	if p.Site, err = ParseID[Site](q.Get("site")); err != nil {
		return bad("the site is not an identifier")
	}
	if p.Device, err = ParseID[Device](q.Get("device")); err != nil {
		return bad("the device is not an identifier")
	}
	if withKey {
		if p.Key, err = base64.RawURLEncoding.Strict().DecodeString(q.Get("key")); err != nil || len(p.Key) != SecretSize {
			return bad("the key is damaged")
		}
	}
	p.Broker, err = parseBroker(q)
	return p, err
}
