package ownline

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestProfile(t *testing.T) {
	for _, host := range []string{"home.example.org", "198.51.100.1", "2a01:db8::1"} {
		p := Profile{Host: host, Port: 54754, Site: NewID[Site](), Device: NewID[Device](), Key: bytes.Repeat([]byte{0xfb}, 32), Name: "Ana's home & more"}
		got, err := ParseProfile(p.URI())
		if err != nil || got.Host != p.Host || got.Port != p.Port || got.Site != p.Site || got.Device != p.Device || !bytes.Equal(got.Key, p.Key) || got.Name != p.Name {
			t.Errorf("ParseProfile(%s) = %+v, %v", p.URI(), got, err)
		}
		if strings.Contains(fmt.Sprintf("%v %+v %#v", p, p, p), "251") {
			t.Error("printing a profile shows its key")
		}
		for _, bad := range []string{
			"", "http" + strings.TrimPrefix(p.URI(), "ownline"), strings.Replace(p.URI(), "v=1", "v=2", 1), strings.Replace(p.URI(), "key=", "key=A", 1),
			strings.Replace(p.URI(), "site=", "site=x", 1), strings.Replace(p.URI(), "54754", "0", 1), strings.Replace(p.URI(), ":54754", "", 1),
		} {
			_, err := ParseProfile(bad)
			fe, ok := errors.AsType[*FieldError](err)
			if !errors.Is(err, ErrInvalid) || !ok || fe.Field != "profile" || strings.Contains(err.Error(), "-_v7") {
				t.Errorf("ParseProfile(%q) = %v", bad, err)
			}
		}
	}
}

func TestProfileWithBroker(t *testing.T) {
	p := Profile{Host: "h", Port: 1, Site: NewID[Site](), Device: NewID[Device](), Key: make([]byte, 32)}
	for _, b := range []Broker{
		{URL: "wss://broker.example.org/mqtt"},
		{URL: "tls://broker.example.org:8883", Topic: "a/b c", Username: "phone & co", Password: Secret("p&=ß#"), Authority: []byte{0xfb, 0xff, 0}, AddressURLs: []string{"https://a.example.org/", "stun:s.example.org:3478"}},
	} {
		p.Broker = b
		got, err := ParseProfile(p.URI())
		if err != nil || !reflect.DeepEqual(got.Broker, b) && !(len(b.Password) == 0 && got.Broker.URL == b.URL && len(got.Broker.Password) == 0) {
			t.Errorf("%s: %+v, %v", p.URI(), got.Broker, err)
		}
	}
	for _, bad := range []string{"mqtt=https://h", "mqtt=tls://u:p@h", "mqtt=tls:", "mqtt=tls://h&address=file:///x", "mqtt=tls://h&address=http://x/", "mqtt=tls://h&ca=%21"} {
		p.Broker = Broker{}
		if _, err := ParseProfile(p.URI() + "&" + bad); !errors.Is(err, ErrInvalid) || strings.Contains(err.Error(), "u:p") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func FuzzParseProfile(f *testing.F) {
	f.Add(Profile{Host: "h", Port: 1, Site: SiteID{1}, Device: DeviceID{2}, Key: make([]byte, 32), Name: "n"}.URI())
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParseProfile(s)
		if err != nil {
			return
		}
		if again, err := ParseProfile(p.URI()); err != nil || again.Device != p.Device || again.Host != p.Host || again.Name != p.Name || !reflect.DeepEqual(again.Broker, p.Broker) {
			t.Errorf("%q reads as %+v and then as %+v, %v", s, p, again, err)
		}
	})
}

// What is open of a profile has no secret in it, and both make the profile again.
func TestSplitProfile(t *testing.T) {
	p := Profile{Host: "h", Port: 1, Site: NewID[Site](), Device: NewID[Device](), Key: bytes.Repeat([]byte{0xfb}, 32), Name: "a & b", Broker: Broker{
		URL: "tls://broker.example.org:8883", Topic: "a/b c", Username: "phone & co", Password: Secret("p&=ß#"), AddressURLs: []string{"https://a.example.org/", "stun:s.example.org:3478"},
	}}
	open, secret := p.Split()
	if strings.Contains(open, "-_v7") || strings.Contains(open, "p%26") || !strings.Contains(secret, "-_v7") || !strings.Contains(secret, "p%26") {
		t.Errorf("%s and %s", open, secret)
	}
	if got, err := JoinProfile(open, secret); err != nil || got.URI() != p.URI() {
		t.Errorf("joined: %+v, %v", got, err)
	}
	if got, err := JoinProfile(open, ""); err != nil || got.Key != nil || len(got.Broker.Password) > 0 || got.Device != p.Device {
		t.Errorf("without the secret: %+v, %v", got, err)
	}
	for _, bad := range []string{"key=", "password=x", "x"} {
		if _, err := JoinProfile(open, bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := ParseProfile(p.URI() + strings.Repeat("&x=y", 10<<20/4)); !errors.Is(err, ErrInvalid) || len(err.Error()) > 200 {
		t.Errorf("10 MB: %v", err)
	}
}
