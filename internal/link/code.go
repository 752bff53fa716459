package link

import (
	"crypto/rand"
	"encoding/base64"
	"net"
	"net/url"
	"strconv"

	"github.com/ownline/ownline/internal/ownline"
)

const (
	codeScheme = "ownline-core"
	dialHost   = "dial" // in place of an address: core dials web
	pinLen     = 43     // base64url of 32 bytes
)

// Code is what an admin carries from core to web, once, to pair them:
// ownline-core://HOST:PORT?pin=…&token=…
type Code struct {
	Addr  string // "HOST:PORT" where core listens; "" when core dials web
	Pin   Pin    // of core
	Token string // proves to core that the admin sent this web
}

// NewToken makes the secret part of a code.
func NewToken() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails: crypto/rand crashes the program instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// String writes the code. It holds a secret: show it to the admin and nobody else.
func (c Code) String() string {
	host := c.Addr
	if host == "" {
		host = dialHost
	}
	u := url.URL{Scheme: codeScheme, Host: host, RawQuery: url.Values{"pin": {string(c.Pin)}, "token": {c.Token}}.Encode()}
	return u.String()
}

// ParseCode reads a code strictly; errors are about the field "code" and never repeat it.
func ParseCode(s string) (Code, error) {
	bad := func(detail string) (Code, error) {
		return Code{}, ownline.Invalid("code", detail+"; run `ownline-core pair` on the router and paste its whole line")
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != codeScheme || u.Path != "" || u.User != nil || u.Fragment != "" {
		return bad("not a pairing code")
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil || len(q) != 2 || len(q["pin"]) != 1 || len(q["token"]) != 1 {
		return bad("the code is not complete")
	}
	c := Code{Addr: u.Host, Pin: Pin(q.Get("pin")), Token: q.Get("token")}
	if !c.Pin.Valid() {
		return bad("the code's pin is damaged")
	}
	if c.Token == "" {
		return bad("the code has no token")
	}
	if c.Addr == dialHost {
		c.Addr = ""
		return c, nil
	}
	host, port, err := net.SplitHostPort(c.Addr)
	if err != nil || host == "" {
		return bad("the code has no address")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return bad("the code's port is not one of 1 to 65535")
	}
	return c, nil
}
