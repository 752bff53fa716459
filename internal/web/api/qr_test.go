package api

import (
	"encoding/xml"
	"image"
	"image/color"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
)

// readQR draws the SVG and reads the code in it.
func readQR(t *testing.T, svg string) string {
	t.Helper()
	var doc struct {
		ViewBox string `xml:"viewBox,attr"`
		Paths   []struct {
			D string `xml:"d,attr"`
		} `xml:"path"`
	}
	if err := xml.Unmarshal([]byte(svg), &doc); err != nil || len(doc.Paths) != 2 {
		t.Fatalf("%v: %.200s", err, svg)
	}
	side, err := strconv.Atoi(strings.Fields(doc.ViewBox)[2])
	if err != nil {
		t.Fatal(err)
	}
	const scale = 4
	img := image.NewGray(image.Rect(0, 0, side*scale, side*scale))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	for _, m := range regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-\d+z`).FindAllStringSubmatch(doc.Paths[1].D, -1) {
		var n [3]int
		for i := range n {
			if n[i], err = strconv.Atoi(m[i+1]); err != nil {
				t.Fatal(err)
			}
		}
		for x := n[0] * scale; x < (n[0]+n[2])*scale; x++ {
			for y := n[1] * scale; y < (n[1]+1)*scale; y++ {
				img.SetGray(x, y, color.Gray{})
			}
		}
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		t.Fatal(err)
	}
	got, err := qrcode.NewQRCodeReader().Decode(bitmap, nil)
	if err != nil {
		t.Fatal(err)
	}
	return got.GetText()
}

// What a camera reads of a new device's code is its profile; it is shown once.
func TestDeviceQR(t *testing.T) {
	w := newWorld(t)
	w.addGrant(w.ana, w.addService("ssh", "192.168.7.10:22"), nil)
	made := as[struct{ ID, Profile, QR string }](w.do(w.ana, "POST", "/devices", map[string]any{"site": w.site.ID, "name": "phone"}), 201)
	if got := readQR(t, made.QR); got != made.Profile || got == "" {
		t.Errorf("the code says %q, the profile is %q", got, made.Profile)
	}
	rotated := as[struct{ Profile, QR string }](w.do(w.ana, "POST", "/devices/"+made.ID+"/rotate", nil), 200)
	if got := readQR(t, rotated.QR); got != rotated.Profile || got == made.Profile {
		t.Errorf("the code says %q, the profile is %q", got, rotated.Profile)
	}
	for _, path := range []string{"/devices", "/devices/" + made.ID} {
		if body := string(w.do(w.ana, "GET", path, nil).want(200).body); strings.Contains(body, "svg") || strings.Contains(body, "ownline://") {
			t.Errorf("%s shows it again: %s", path, body)
		}
	}
	renamed := as[Device](w.do(w.ana, "PATCH", "/devices/"+made.ID, map[string]any{"name": "old phone"}), 200)
	if renamed.Name != "old phone" || !strings.Contains(string(w.do(w.ana, "GET", "/devices", nil).body), "old phone") {
		t.Errorf("renamed to %q", renamed.Name)
	}
	w.do(w.ana, "PATCH", "/devices/"+made.ID, map[string]any{"name": ""}).problem(422, "body.name")
	w.do(w.bob, "PATCH", "/devices/"+made.ID, map[string]any{"name": "mine"}).problem(404, "path.id")
}
