package icon

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/ownline"
)

func picture(t testing.TB, side int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewRGBA(image.Rect(0, 0, side, side))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestPNG(t *testing.T) {
	// What follows the picture, and what is said in it beside pixels, goes.
	b := append(picture(t, 64), "<script>alert(1)</script>"...)
	got, kind, err := Clean(b)
	if err != nil || kind != PNG || bytes.Contains(got, []byte("script")) {
		t.Fatalf("%s, %v", kind, err)
	}
	if img, err := png.Decode(bytes.NewReader(got)); err != nil || img.Bounds().Dx() != 64 {
		t.Error(err)
	}
	for name, b := range map[string][]byte{
		"nothing": nil, "text": []byte("hello"), "GIF": []byte("GIF89a"), "half a PNG": picture(t, 64)[:40],
		"too many pixels": picture(t, maxSide+1), "too many bytes": append(picture(t, 8), make([]byte, MaxUpload)...),
	} {
		_, _, err := Clean(b)
		fe, ok := errors.AsType[*ownline.FieldError](err)
		if !ok || fe.Field != "icon" || !errors.Is(err, ownline.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestJPEG(t *testing.T) {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewRGBA(image.Rect(0, 0, 16, 8)), nil); err != nil {
		t.Fatal(err)
	}
	got, kind, err := Clean(append(b.Bytes(), "<script>alert(1)</script>"...))
	if err != nil || kind != PNG || bytes.Contains(got, []byte("script")) {
		t.Fatalf("%s, %v", kind, err)
	}
	if img, err := png.Decode(bytes.NewReader(got)); err != nil || img.Bounds().Dx() != 16 {
		t.Error(err)
	}
	if _, _, err := Clean(b.Bytes()[:20]); !errors.Is(err, ownline.ErrInvalid) {
		t.Errorf("a piece of a JPEG: %v", err)
	}
}

// testdata/dot.webp is lossless, 3 by 2, all of it the colour 10, 101, 112.
func TestWebP(t *testing.T) {
	b, err := os.ReadFile("testdata/dot.webp")
	if err != nil {
		t.Fatal(err)
	}
	got, kind, err := Clean(b)
	if err != nil || kind != PNG {
		t.Fatalf("%s, %v", kind, err)
	}
	img, err := png.Decode(bytes.NewReader(got))
	if err != nil || img.Bounds().Dx() != 3 || img.Bounds().Dy() != 2 {
		t.Fatal(img, err)
	}
	if c := color.NRGBAModel.Convert(img.At(2, 1)); c != (color.NRGBA{10, 101, 112, 255}) {
		t.Errorf("it is %v", c)
	}
	if _, _, err := Clean(b[:len(b)-4]); !errors.Is(err, ownline.ErrInvalid) {
		t.Errorf("half a WebP: %v", err)
	}
}

func TestSVG(t *testing.T) {
	const head = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 24 24"`
	for name, tc := range map[string]struct{ in, want string }{
		"a drawing":     {head + `><path d="M1 2L3,4z" fill="#0a6570"/></svg>`, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path d="M1 2L3,4z" fill="#0a6570"></path></svg>`},
		"a gradient":    {head + `><linearGradient id="a"/><rect fill="url(#a)"/></svg>`, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><linearGradient id="a"></linearGradient><rect fill="url(#a)"></rect></svg>`},
		"script":        {head + `><script>alert(1)</script><g/></svg>`, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><g></g></svg>`},
		"handlers":      {head + ` onload="alert(1)"><g onclick="x()"/></svg>`, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><g></g></svg>`},
		"foreignObject": {head + `><foreignObject><p xmlns="http://www.w3.org/1999/xhtml">x</p></foreignObject></svg>`, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"></svg>`},
		"style":         {head + `><style>@import url(http://x)</style><g style="background:url(http://x)" fill="url(http://x#a)"/></svg>`, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><g></g></svg>`},
		"references":    {head + `><image href="http://x"/><use xlink:href="http://x#a"/><a href="javascript:alert(1)"><g/></a></svg>`, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><use></use></svg>`},
		"animation":     {head + `><animate attributeName="href" to="javascript:alert(1)"/><set attributeName="onload"/></svg>`, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"></svg>`},
		"a title":       {head + `><title>a &lt;b></title></svg>`, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><title>a &lt;b&gt;</title></svg>`},
	} {
		got, kind, err := Clean([]byte(tc.in))
		if err != nil || kind != SVG || string(got) != tc.want {
			t.Errorf("%s:\n got %s, %v\nwant %s", name, got, err, tc.want)
		}
	}
	for name, in := range map[string]string{
		"DOCTYPE": `<!DOCTYPE svg [<!ENTITY a "b">]>` + head + `>&a;</svg>`, "not closed": head + ">", "an entity": head + ">&a;</svg>",
		"two": head + "/>" + head + "/>", "another root": `<g><svg/></g>`, "deep": head + ">" + strings.Repeat("<g>", 99) + strings.Repeat("</g>", 99) + "</svg>",
	} {
		if _, _, err := Clean([]byte(in)); !errors.Is(err, ownline.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

var hostile = regexp.MustCompile(`(?i)^(script|foreignobject|style|image|a|animate.*|set|iframe|object|embed)$`)

// Whatever goes in: what comes out is well-formed, has nothing that runs or points elsewhere,
// and stays as it is when it is cleaned again.
func FuzzSVG(f *testing.F) {
	f.Add([]byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="x()"><a href="javascript:x"><g fill="url(#a)"/></a></svg>`))
	f.Add([]byte(`<svg><script/><use xlink:href="http://x"/><title>x</title></svg>`))
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := cleanSVG(in)
		if err != nil {
			return
		}
		d := xml.NewDecoder(bytes.NewReader(out))
		for {
			tok, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%q: %v", out, err)
			}
			e, ok := tok.(xml.StartElement)
			if !ok {
				continue
			}
			if hostile.MatchString(e.Name.Local) || !elements[e.Name.Local] {
				t.Errorf("%q has %s", out, e.Name.Local)
			}
			for _, a := range e.Attr {
				v := strings.ToLower(a.Value)
				if strings.HasPrefix(strings.ToLower(a.Name.Local), "on") || a.Name.Local == "style" ||
					a.Name.Local != "xmlns" && a.Name.Local != "aria-label" && strings.Contains(v, ":") || strings.Contains(v, "url(") && !strings.HasPrefix(v, "url(#") {
					t.Errorf("%q has %s=%q", out, a.Name.Local, a.Value)
				}
			}
		}
		again, err := cleanSVG(out)
		if err != nil || !bytes.Equal(again, out) {
			t.Errorf("%q becomes %q, %v", out, again, err)
		}
	})
}
