// Package ui is the built PWA, embedded; without a build, a page that says so.
//
// The build lands in dist, which git does not keep. dist-missing stands in for it, so that
// the program can be built without Node.
package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed all:dist*
var built embed.FS

// policyOf is the content security policy of the pages: nothing from elsewhere but
// connections to the given origins, no inline script or style, and markup only through the
// named trusted types.
func policyOf(connect []string) string {
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; font-src 'self'; " +
		"connect-src " + strings.Join(append([]string{"'self'"}, connect...), " ") + "; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; " +
		"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types vue ownline-sw"
}

const (
	index = "index.html"
	// worker keeps the pages on the device, with the policy that they came with.
	worker = "sw.js"
	// hashed is the folder of files whose names change with their content.
	hashed = "assets/"
)

// Handler serves the pages.
type Handler struct {
	files  map[string]file
	policy string
}

type file struct {
	content []byte
	zipped  []byte // nil: not worth it
	kind    string // media type
	tag     string // entity tag, quoted
}

// New reads the embedded build into memory, compressed beside plain. The pages may connect to
// the given origins, like wss://broker.example.org, beside our own.
func New(connect ...string) (*Handler, error) {
	root, err := fs.Sub(built, "dist")
	if err != nil {
		return nil, err
	}
	if _, err := fs.Stat(root, index); err != nil {
		if root, err = fs.Sub(built, "dist-missing"); err != nil {
			return nil, err
		}
	}
	return newHandler(root, connect)
}

func newHandler(root fs.FS, connect []string) (*Handler, error) {
	h := &Handler{files: map[string]file{}, policy: policyOf(connect)}
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		if name == worker {
			// Another policy is another worker, so that browsers fetch the pages anew.
			sum := sha256.Sum256([]byte(h.policy))
			content = append(content, "\n// policy "+hex.EncodeToString(sum[:8])+"\n"...)
		}
		f := file{content: content, kind: kindOf(name)}
		sum := sha256.Sum256(content)
		f.tag = `"` + hex.EncodeToString(sum[:12]) + `"`
		f.zipped, err = zip(content, f.kind)
		h.files[name] = f
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the built pages: %w", err)
	}
	if _, ok := h.files[index]; !ok {
		return nil, fmt.Errorf("read the built pages: no %s", index)
	}
	return h, nil
}

func kindOf(name string) string {
	switch path.Ext(name) { // not left to the system's table, which differs
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".txt":
		return "text/plain; charset=utf-8"
	case ".webmanifest":
		return "application/manifest+json"
	case ".webp":
		return "image/webp"
	case ".woff2":
		return "font/woff2"
	case ".json", ".map":
		return "application/json"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

// zip compresses text. Nothing here is secret or depends on a request, so compressing
// gives nothing away.
func zip(content []byte, kind string) ([]byte, error) {
	text := strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "json") || strings.HasSuffix(kind, "xml")
	if !text || len(content) < 1024 {
		return nil, nil
	}
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// ServeHTTP answers with a file, or for the address of a page with the one page there is.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", h.policy)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	f, ok := h.files[name]
	switch {
	case ok && strings.HasPrefix(name, hashed):
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	case !ok && (path.Ext(name) != "" || strings.HasPrefix(name, hashed)):
		header.Set("Cache-Control", "no-store")
		http.Error(w, "not found", http.StatusNotFound)
		return
	case !ok:
		f = h.files[index] // the app finds its page itself
		header.Set("Cache-Control", "no-cache")
	default:
		header.Set("Cache-Control", "no-cache")
	}
	header.Set("Content-Type", f.kind)
	content, tag := f.content, f.tag
	if f.zipped != nil {
		header.Set("Vary", "Accept-Encoding")
		if takesGzip(r) {
			header.Set("Content-Encoding", "gzip")
			content, tag = f.zipped, strings.TrimSuffix(f.tag, `"`)+`-gz"`
		}
	}
	header.Set("ETag", tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

func takesGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		coding, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if coding == "gzip" {
			return strings.ReplaceAll(q, " ", "") != "q=0"
		}
	}
	return false
}
