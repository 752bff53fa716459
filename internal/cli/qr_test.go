package cli

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"rsc.io/qr"

	"github.com/ownline/ownline/internal/ownline"
)

// profileText is as long as profiles are, with a broker.
func profileText() string {
	return ownline.Profile{
		Host: "home.example.org", Port: 54754, Name: "Ana’s home", Site: ownline.NewID[ownline.Site](), Device: ownline.NewID[ownline.Device](), Key: bytes.Repeat([]byte{0xfb, 7}, 16),
		Broker: ownline.Broker{URL: "tls://broker.example.org:8883", Username: "ana", Password: ownline.Secret("a long password")},
	}.URI()
}

// draw makes an image of a code with so many pixels to a cell, somewhere in a larger one.
func drawn(t *testing.T, text string, cell, around int) *image.Gray {
	t.Helper()
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		t.Fatal(err)
	}
	side := (code.Size+8)*cell + 2*around
	img := image.NewGray(image.Rect(0, 0, side, side))
	draw.Draw(img, img.Rect, image.White, image.Point{}, draw.Src)
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				at := image.Rect(0, 0, cell, cell).Add(image.Pt((x+4)*cell+around, (y+4)*cell+around))
				draw.Draw(img, at, image.Black, image.Point{}, draw.Src)
			}
		}
	}
	return img
}

func pngOf(t *testing.T, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReadQR(t *testing.T) {
	text := profileText()
	for name, img := range map[string]image.Image{
		"small": drawn(t, text, 2, 0), "drawing": drawn(t, text, 4, 0), "screenshot": drawn(t, text, 6, 100), "large": drawn(t, text, 12, 0),
	} {
		got, err := readQR(t.Context(), bytes.NewReader(pngOf(t, img)))
		if err != nil || got != text {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	// A photo is noisy, grey and compressed.
	img := drawn(t, text, 6, 60)
	noise := rand.New(rand.NewPCG(1, 2))
	for i, v := range img.Pix {
		img.Pix[i] = uint8(60 + int(v)/2 + noise.IntN(30))
	}
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, img, &jpeg.Options{Quality: 60}); err != nil {
		t.Fatal(err)
	}
	if got, err := readQR(t.Context(), bytes.NewReader(photo.Bytes())); err != nil || got != text {
		t.Errorf("photo: %q, %v", got, err)
	}
}

// What is no readable code is refused soon, with a reason, however it was made.
func TestReadQRRefuses(t *testing.T) {
	good := pngOf(t, drawn(t, profileText(), 4, 0))
	blank := image.NewGray(image.Rect(0, 0, 300, 300))
	half := drawn(t, profileText(), 4, 0)
	draw.Draw(half, image.Rect(0, 0, 150, 1000), image.NewUniform(color.White), image.Point{}, draw.Src)
	for name, tc := range map[string]struct {
		image []byte
		want  string
	}{
		"nothing":        {nil, "no PNG and no JPEG"},
		"text":           {[]byte(profileText()), "no PNG and no JPEG"},
		"truncated":      {good[:len(good)/2], "damaged"},
		"only the head":  {good[:20], "damaged"},
		"100 megapixels": {claiming(10_000, 10_000), "10000 times 10000 pixels"},
		"overflow":       {claiming(1<<31-1, 1<<31-1), "dimension overflow"},
		"long line":      {claiming(1<<31-1, 1), "pixels"},
		"large file":     {append(good, make([]byte, maxImageBytes)...), "larger than 20 MiB"},
		"blank":          {pngOf(t, blank), "no QR code can be read"},
		"one pixel":      {pngOf(t, image.NewGray(image.Rect(0, 0, 1, 1))), "no QR code can be read"},
		"half a code":    {pngOf(t, half), "no QR code can be read"},
	} {
		begun := time.Now()
		got, err := readQR(t.Context(), bytes.NewReader(tc.image))
		if !errors.Is(err, ownline.ErrInvalid) || !strings.Contains(err.Error(), tc.want) || got != "" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if took := time.Since(begun); took > 20*time.Second {
			t.Errorf("%s took %s", name, took)
		}
	}
}

// claiming is a PNG that says how large it is, and has nothing to show.
func claiming(width, height uint32) []byte {
	head := []byte("IHDR")
	head = binary.BigEndian.AppendUint32(head, width)
	head = binary.BigEndian.AppendUint32(head, height)
	head = append(head, 8, 0, 0, 0, 0)
	out := []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d")
	out = append(out, head...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(head))
}
