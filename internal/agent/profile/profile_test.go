package profile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ownline/ownline/internal/ownline"
)

func example(name string) ownline.Profile {
	return ownline.Profile{
		Host: "home.example.org", Port: 54754, Name: name,
		Site: ownline.NewID[ownline.Site](), Device: ownline.NewID[ownline.Device](), Key: bytes.Repeat([]byte{7}, 32),
	}
}

func TestStore(t *testing.T) {
	s := Store{Dir: filepath.Join(t.TempDir(), "a", "b")}
	if _, _, err := s.Choose(""); !errors.Is(err, ownline.ErrNotFound) {
		t.Errorf("nothing there: %v", err)
	}
	p := example("Ana's phone")
	if err := s.Save("phone", p, InFile, false); err != nil {
		t.Fatal(err)
	}
	if err := s.Save("phone", p, InFile, false); !errors.Is(err, ownline.ErrConflict) {
		t.Errorf("saved over another: %v", err)
	}
	if err := s.Save("phone", p, InFile, true); err != nil {
		t.Errorf("replace: %v", err)
	}
	info, err := os.Stat(filepath.Join(s.Dir, "phone.profile"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	name, got, err := s.Choose("")
	if err != nil || name != "phone" {
		t.Fatal(name, err)
	}
	if diff := cmp.Diff(p, got); diff != "" || !bytes.Equal(p.Key, got.Key) {
		t.Error(diff)
	}
	if err := s.Save("laptop", example(""), InFile, false); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Choose(""); !errors.Is(err, ownline.ErrInvalid) || !strings.Contains(err.Error(), "laptop, phone") {
		t.Errorf("two: %v", err)
	}
	if _, _, err := s.Choose("stolen"); !errors.Is(err, ownline.ErrNotFound) {
		t.Errorf("stolen: %v", err)
	}
	entries, _ := os.ReadDir(s.Dir)
	if len(entries) != 2 {
		t.Errorf("left over: %v", entries)
	}
}

func TestNames(t *testing.T) {
	for _, bad := range []string{"", ".", "..", ".x", "../x", "a/b", "a b", "a\n", strings.Repeat("a", 65)} {
		s := Store{Dir: t.TempDir()}
		if err := s.Save(bad, example(""), InFile, false); !errors.Is(err, ownline.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for device, want := range map[string]string{"phone": "phone", "Ana's phone": "Ana-s-phone", "../../x": "x", "": "default", "☃": "default", strings.Repeat("a", 70): strings.Repeat("a", 64)} {
		if got := NameFor(device); got != want || CheckName(got) != nil {
			t.Errorf("NameFor(%q) = %q, want %q", device, got, want)
		}
	}
}

// What is read as a profile is written and read again as the same; nothing makes it panic,
// and no error repeats the secret.
func FuzzParse(f *testing.F) {
	uri := example("Ana's phone & more").URI()
	for _, seed := range []string{uri, "", "ownline://", strings.Replace(uri, "v=1", "v=2", 1), strings.Replace(uri, "home.example.org", "[2001:db8::1]", 1), uri + "&key=x", strings.Replace(uri, "54754", "0", 1), "http" + uri} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ownline.ParseProfile(s)
		if err != nil {
			if len(s) > 60 && strings.Contains(err.Error(), s) {
				t.Error("the error repeats the profile")
			}
			return
		}
		again, err := ownline.ParseProfile(p.URI())
		if err != nil {
			t.Fatalf("%q is written as what can't be read: %v", s, err)
		}
		if diff := cmp.Diff(p, again); diff != "" || !bytes.Equal(p.Key, again.Key) {
			t.Error(diff)
		}
	})
}
