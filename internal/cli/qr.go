package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // what cameras make
	_ "image/png"  // what screenshots are
	"io"
	"os"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"github.com/ownline/ownline/internal/ownline"
)

// What an image may be at most: small enough for every machine, large enough for photos.
const (
	maxImageBytes = 20 << 20
	maxPixels     = 50_000_000
	decodeTime    = 20 * time.Second
)

func readQRFile(ctx context.Context, name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return readQR(ctx, f)
}

// readQR returns the text of the QR code in an image. Nothing of an image that is too large
// is decoded.
func readQR(ctx context.Context, r io.Reader) (string, error) {
	bad := func(format string, args ...any) (string, error) {
		return "", ownline.Invalid("qr", fmt.Sprintf(format, args...))
	}
	b, err := io.ReadAll(io.LimitReader(r, maxImageBytes+1))
	if err != nil {
		return "", fmt.Errorf("read the image: %w", err)
	}
	if len(b) > maxImageBytes {
		return bad("the file is larger than %d MiB; cut the code out of it", maxImageBytes>>20)
	}
	size, _, err := image.DecodeConfig(bytes.NewReader(b))
	switch {
	case errors.Is(err, image.ErrFormat):
		return bad("the file is no PNG and no JPEG")
	case err != nil:
		return bad("the image is damaged: %v", err)
	case size.Width <= 0 || size.Height <= 0 || size.Width > maxPixels/size.Height:
		return bad("the image has %d times %d pixels, more than %d million; cut the code out of it", size.Width, size.Height, maxPixels/1_000_000)
	}
	img, _, err := image.Decode(bytes.NewReader(b))
	if err != nil {
		return bad("the image is damaged: %v", err)
	}
	text, err := decodeInTime(ctx, img)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return bad("no QR code is found in the image in %s; cut the code out of it", decodeTime)
	case errors.Is(err, context.Canceled):
		return "", err
	case err != nil:
		return bad("no QR code can be read in the image; take a sharper one, with the whole code and a light border")
	}
	return text, nil
}

// decodeInTime is decodeQR with an end. An image full of what looks like the corners of codes
// keeps the library busy for hours, and it can't be interrupted: it works on until the program
// ends.
func decodeInTime(ctx context.Context, img image.Image) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, decodeTime)
	defer cancel()
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := decodeQR(img)
		done <- result{text, err}
	}()
	select {
	case r := <-done:
		return r.text, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// decodeQR looks for a code as in a photo, then as in a drawing, which may be too small
// or too clean for the first.
func decodeQR(img image.Image) (string, error) {
	source := gozxing.NewLuminanceSourceFromImage(img)
	var last error
	for _, binarizer := range []gozxing.Binarizer{gozxing.NewHybridBinarizer(source), gozxing.NewGlobalHistgramBinarizer(source)} {
		bitmap, err := gozxing.NewBinaryBitmap(binarizer)
		if err != nil {
			return "", err
		}
		for _, hint := range []gozxing.DecodeHintType{gozxing.DecodeHintType_TRY_HARDER, gozxing.DecodeHintType_PURE_BARCODE} {
			result, err := qrcode.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{hint: true, gozxing.DecodeHintType_CHARACTER_SET: "UTF-8"})
			if err == nil {
				return result.GetText(), nil
			}
			last = err
		}
	}
	return "", last
}
