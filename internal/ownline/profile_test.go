package ownline

import (
	"bytes"
	"errors"
	"fmt"
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

func FuzzParseProfile(f *testing.F) {
	f.Add(Profile{Host: "h", Port: 1, Site: SiteID{1}, Device: DeviceID{2}, Key: make([]byte, 32), Name: "n"}.URI())
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParseProfile(s)
		if err != nil {
			return
		}
		if again, err := ParseProfile(p.URI()); err != nil || again.Device != p.Device || again.Host != p.Host || again.Name != p.Name {
			t.Errorf("%q reads as %+v and then as %+v, %v", s, p, again, err)
		}
	})
}
