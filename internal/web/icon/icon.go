// Package icon makes pictures that people upload for services harmless: bounded in bytes and
// pixels, decoded and written anew, and, where they are SVG, cut down to drawing.
package icon

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"regexp"
	"strings"

	"golang.org/x/image/webp"

	"github.com/ownline/ownline/internal/ownline"
)

const (
	// MaxBytes bounds what is kept.
	MaxBytes = 64 << 10
	// MaxUpload bounds what is taken: PNG, JPEG and WebP get smaller or larger when written anew.
	MaxUpload = 256 << 10
	// maxSide bounds pictures, in pixels.
	maxSide = 512

	maxDepth, maxElements = 32, 4096 // of an SVG
)

// The kinds of picture that are kept.
const (
	PNG = "image/png"
	SVG = "image/svg+xml"
)

// Clean reads a PNG, JPEG, WebP or SVG picture and returns it as it may be kept and served, and
// its kind. Errors are about the field "icon".
func Clean(b []byte) (clean []byte, kind string, err error) {
	switch {
	case len(b) > MaxUpload:
		return nil, "", ownline.Invalid("icon", fmt.Sprintf("must have %d KiB at most", MaxUpload>>10))
	case bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")):
		clean, err = redraw(b, png.DecodeConfig, png.Decode)
		kind = PNG
	case bytes.HasPrefix(b, []byte("\xff\xd8\xff")):
		clean, err = redraw(b, jpeg.DecodeConfig, jpeg.Decode)
		kind = PNG
	case len(b) > 12 && string(b[:4]) == "RIFF" && string(b[8:12]) == "WEBP":
		clean, err = redraw(b, webp.DecodeConfig, webp.Decode)
		kind = PNG
	case bytes.Contains(b[:min(len(b), 1024)], []byte("<svg")):
		clean, err = cleanSVG(b)
		kind = SVG
	default:
		return nil, "", ownline.Invalid("icon", "must be a PNG, JPEG, WebP or SVG picture")
	}
	if err == nil && len(clean) > MaxBytes {
		err = ownline.Invalid("icon", fmt.Sprintf("is larger than %d KiB once it is written anew: use a smaller one", MaxBytes>>10))
	}
	if err != nil {
		return nil, "", err
	}
	return clean, kind, nil
}

// redraw decodes a picture and writes its pixels, and nothing else of it, as a PNG.
func redraw(b []byte, config func(io.Reader) (image.Config, error), decode func(io.Reader) (image.Image, error)) ([]byte, error) {
	// The size first: a few bytes can stand for more pixels than there is memory.
	c, err := config(bytes.NewReader(b))
	if err != nil {
		return nil, ownline.Invalid("icon", "is damaged")
	}
	if c.Width < 1 || c.Height < 1 || c.Width > maxSide || c.Height > maxSide {
		return nil, ownline.Invalid("icon", fmt.Sprintf("must be 1 to %d pixels wide and high", maxSide))
	}
	img, err := decode(bytes.NewReader(b))
	if err != nil {
		return nil, ownline.Invalid("icon", "is damaged")
	}
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, img); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// elements and attributes are all that an SVG keeps: shapes and paint. No script, no text
// of other languages, no pictures, links, animation, style sheets or filters.
var (
	elements = words("svg g path rect circle ellipse line polyline polygon defs linearGradient radialGradient stop clipPath mask title desc use symbol")

	attributes = words(`id viewBox width height x y x1 y1 x2 y2 cx cy r rx ry fx fy d points transform
		fill fill-rule fill-opacity stroke stroke-width stroke-linecap stroke-linejoin stroke-miterlimit stroke-dasharray
		stroke-dashoffset stroke-opacity opacity color clip-path clip-rule mask offset stop-color stop-opacity
		gradientUnits gradientTransform spreadMethod clipPathUnits maskUnits maskContentUnits preserveAspectRatio
		shape-rendering vector-effect pathLength href role aria-label version`)

	// plain is what a value may be made of: numbers, words, colours, paths. No colon, quote,
	// backslash or bracket other than the round ones.
	plain = regexp.MustCompile(`^[A-Za-z0-9 .,#%()+\-_/\n\t]*$`)
	// local is the one address that may stand in a value: of a part of the same picture.
	local = regexp.MustCompile(`^url\(#[A-Za-z0-9_.-]+\)$`)
	part  = regexp.MustCompile(`^#[A-Za-z0-9_.-]+$`)
	label = regexp.MustCompile(`^[^<>&"]*$`)
)

func words(s string) map[string]bool {
	out := map[string]bool{}
	for w := range strings.FieldsSeq(s) {
		out[w] = true
	}
	return out
}

const namespace = "http://www.w3.org/2000/svg"

// cleanSVG writes anew what of an SVG is on the lists; the rest is left out, whole elements
// with what is in them. What is no well-formed XML, or brings a DOCTYPE, is refused.
func cleanSVG(b []byte) ([]byte, error) {
	d := xml.NewDecoder(bytes.NewReader(b))
	d.Strict = true
	d.Entity = map[string]string{}
	var out bytes.Buffer
	var open []string
	skip, seen, closed := 0, 0, false
	for {
		t, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, ownline.Invalid("icon", "is not well-formed SVG")
		}
		switch t := t.(type) {
		case xml.Directive:
			return nil, ownline.Invalid("icon", "must not have a DOCTYPE or entities")
		case xml.StartElement:
			if seen++; seen > maxElements || len(open)+skip >= maxDepth {
				return nil, ownline.Invalid("icon", "is too intricate")
			}
			name := t.Name.Local
			switch {
			case len(open) == 0 && skip == 0 && (closed || name != "svg"):
				return nil, ownline.Invalid("icon", "must be one svg element")
			case skip > 0 || !elements[name] || t.Name.Space != namespace && t.Name.Space != "":
				skip++
				continue
			}
			out.WriteString("<" + name)
			if len(open) == 0 {
				out.WriteString(` xmlns="` + namespace + `"`)
			}
			written := map[string]bool{}
			for _, a := range t.Attr {
				if key, value, ok := keep(name, a); ok && !written[key] {
					written[key] = true
					out.WriteString(" " + key + `="` + value + `"`)
				}
			}
			out.WriteString(">")
			open = append(open, name)
		case xml.EndElement:
			if skip > 0 {
				skip--
				continue
			}
			out.WriteString("</" + open[len(open)-1] + ">")
			open = open[:len(open)-1]
			closed = len(open) == 0
		case xml.CharData:
			if n := len(open); skip == 0 && n > 0 && (open[n-1] == "title" || open[n-1] == "desc") {
				if err := xml.EscapeText(&out, t); err != nil {
					return nil, err
				}
			}
		}
	}
	if !closed || len(open) > 0 {
		return nil, ownline.Invalid("icon", "must be one svg element")
	}
	return out.Bytes(), nil
}

// keep returns an attribute as it may stay.
func keep(element string, a xml.Attr) (key, value string, ok bool) {
	key, value = a.Name.Local, strings.TrimSpace(a.Value)
	if a.Name.Space != "" && !(key == "href" && a.Name.Space == "http://www.w3.org/1999/xlink") {
		return "", "", false
	}
	switch {
	case !attributes[key]:
		return "", "", false
	case key == "href": // <use> of a part that uses itself many times would be a bomb
		return key, value, strings.HasSuffix(element, "Gradient") && part.MatchString(value)
	case key == "aria-label":
		return key, value, label.MatchString(value)
	case strings.Contains(strings.ToLower(value), "url"):
		return key, value, local.MatchString(value)
	}
	return key, value, plain.MatchString(value)
}
