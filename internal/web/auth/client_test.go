package auth

import (
	"net/http"
	"net/netip"
	"testing"
)

// Invariant 8: the client's address can't be forged by headers.
func TestClientAddr(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("fd00::/64")}
	for name, tc := range map[string]struct {
		remote  string
		forward []string
		trusted []netip.Prefix
		want    string
	}{
		"the socket":                       {"198.51.100.7:1", nil, nil, "198.51.100.7"},
		"forged without a proxy":           {"198.51.100.7:1", []string{"203.0.113.9"}, nil, "198.51.100.7"},
		"forged past the proxies":          {"198.51.100.7:1", []string{"203.0.113.9"}, proxies, "198.51.100.7"},
		"one proxy":                        {"127.0.0.1:1", []string{"198.51.100.7"}, proxies, "198.51.100.7"},
		"forged through a proxy":           {"127.0.0.1:1", []string{"203.0.113.9, 198.51.100.7"}, proxies, "198.51.100.7"},
		"forged in a header of its own":    {"127.0.0.1:1", []string{"203.0.113.9", "198.51.100.7"}, proxies, "198.51.100.7"},
		"two proxies":                      {"127.0.0.1:1", []string{"203.0.113.9, 198.51.100.7, 10.0.0.3"}, proxies, "198.51.100.7"},
		"forged as a proxy":                {"127.0.0.1:1", []string{"127.0.0.1, 198.51.100.7"}, proxies, "198.51.100.7"},
		"nothing forwarded":                {"127.0.0.1:1", nil, proxies, "127.0.0.1"},
		"nonsense forwarded":               {"127.0.0.1:1", []string{"203.0.113.9, unknown"}, proxies, "127.0.0.1"},
		"mapped socket":                    {"[::ffff:198.51.100.7]:1", nil, nil, "198.51.100.7"},
		"mapped proxy":                     {"[::ffff:127.0.0.1]:1", []string{"2001:db8::5"}, proxies, "2001:db8::5"},
		"with a port":                      {"[fd00::1]:1", []string{"[2001:db8::5]:443"}, proxies, "2001:db8::5"},
		"a proxy from outside its network": {"[fd00:0:0:1::1]:1", []string{"203.0.113.9"}, proxies, "fd00:0:0:1::1"},
		"every hop trusted":                {"127.0.0.1:1", []string{"10.0.0.1, 10.0.0.2"}, proxies, "10.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: tc.remote, Header: http.Header{}}
			for _, f := range tc.forward {
				r.Header.Add("X-Forwarded-For", f)
			}
			r.Header.Set("X-Real-Ip", "203.0.113.9")
			r.Header.Set("Forwarded", "for=203.0.113.9")
			if got := clientAddr(r, tc.trusted); got != netip.MustParseAddr(tc.want) {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
	if got := clientAddr(&http.Request{RemoteAddr: "@"}, nil); got.IsValid() {
		t.Errorf("an address out of nothing: %s", got)
	}
}
