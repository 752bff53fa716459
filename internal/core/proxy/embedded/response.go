package embedded

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// response writes an answer over HTTP/1.1. It is net/http's ResponseWriter as far as this
// package needs it: the header always comes before the body, and names its length or none.
type response struct {
	h      *http1
	r      *http.Request
	body   *body // of the request
	header http.Header

	mu       sync.Mutex // interim answers come from whoever reads the body, or the service
	begun    bool       // the final answer
	hijacked bool       // somebody else writes now
	last     bool       // the connection ends with this answer
	bodyless bool
	chunked  bool
	left     int64 // of the length that was promised; -1: none was
	trailers []string
	err      error
}

var errWrongLength = errors.New("the answer has another length than it said")

// Header returns what WriteHeader will write, and later the trailers.
func (w *response) Header() http.Header { return w.header }

// proceed tells the client to send the body.
func (w *response) proceed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.begun {
		return errBodyOver
	}
	w.h.bw.WriteString("HTTP/1.1 100 Continue\r\n\r\n")
	return w.h.bw.Flush()
}

// WriteHeader begins the answer; a status below 200, except 101, is one in between.
func (w *response) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.begun {
		return
	}
	if status < 200 && status != http.StatusSwitchingProtocols {
		if w.r.ProtoMinor > 0 {
			w.line(status)
			writeHeader(w.h.bw, w.header)
			w.h.bw.WriteString("\r\n")
			w.err = w.h.bw.Flush()
		}
		return
	}
	w.begun = true
	w.line(status)
	b := w.h.bw
	if status == http.StatusSwitchingProtocols {
		writeHeader(b, w.header)
		b.WriteString("\r\n")
		return
	}
	// A body that the client was never asked for may come or not.
	w.last = w.r.Close || w.r.ProtoMinor == 0 || w.body.expected && !w.body.asked()
	w.frame(status)
	if w.last {
		b.WriteString("Connection: close\r\n")
	}
	if len(w.header["Date"]) == 0 {
		w.header["Date"] = []string{time.Now().UTC().Format(http.TimeFormat)}
	}
	w.trailers = append(w.trailers, w.header["Trailer"]...)
	writeHeader(b, w.header)
	b.WriteString("\r\n")
	for _, name := range w.trailers {
		delete(w.header, name)
	}
}

func (w *response) line(status int) {
	b := w.h.bw
	b.WriteString("HTTP/1.1 ")
	b.WriteString(strconv.Itoa(status))
	b.WriteByte(' ')
	b.WriteString(http.StatusText(status))
	b.WriteString("\r\n")
}

// frame decides how the end of the body will be known (RFC 9112, section 6).
func (w *response) frame(status int) {
	w.left = -1
	if v := w.header["Content-Length"]; len(v) > 0 && isLength([]byte(v[0])) {
		w.left, _ = strconv.ParseInt(v[0], 10, 64)
		w.header["Content-Length"] = v[:1]
	} else {
		delete(w.header, "Content-Length")
	}
	switch {
	case status == http.StatusNoContent:
		delete(w.header, "Content-Length")
		w.bodyless = true
	case w.r.Method == http.MethodHead || status == http.StatusNotModified:
		w.bodyless = true
	case w.left >= 0:
	case w.r.ProtoMinor > 0:
		w.chunked = true
		w.h.bw.WriteString("Transfer-Encoding: chunked\r\n")
	}
	if !w.chunked {
		delete(w.header, "Trailer")
	}
}

// Write writes a part of the body.
func (w *response) Write(p []byte) (int, error) {
	b := w.h.bw
	switch {
	case w.err != nil:
		return 0, w.err
	case w.bodyless || len(p) == 0:
		return len(p), nil
	case w.chunked:
		b.WriteString(strconv.FormatInt(int64(len(p)), 16))
		b.WriteString("\r\n")
		var n int
		if n, w.err = b.Write(p); w.err == nil {
			_, w.err = b.WriteString("\r\n")
		}
		return n, w.err
	case w.left >= 0:
		if w.left -= int64(len(p)); w.left < 0 {
			w.err = errWrongLength
			return 0, w.err
		}
	}
	n, err := b.Write(p)
	w.err = err
	return n, err
}

// waiting returns how much is written that has not gone to TLS; of nil, which is another protocol's
// answer, nothing.
func (w *response) waiting() int {
	if w == nil {
		return 0
	}
	return w.h.bw.Buffered()
}

// hold lets what follows, n bytes of the body, go out in one go at the next send, if it would not wait anyway.
func (w *response) hold(n int) bool {
	if w == nil || n <= w.h.bw.Available() {
		return false
	}
	w.h.c.hold()
	return true
}

func (w *response) send() error {
	if err := w.h.c.send(); w.err == nil {
		w.err = err
	}
	return w.err
}

// Flush sends what was written.
func (w *response) Flush() {
	if w.err == nil {
		w.err = w.h.bw.Flush()
	}
}

// finish ends the answer.
func (w *response) finish() error {
	if w.err == nil && w.left > 0 && !w.bodyless {
		w.err = errWrongLength
	}
	if w.err != nil {
		return w.err
	}
	if w.chunked {
		b := w.h.bw
		b.WriteString("0\r\n")
		trailer := http.Header{}
		for name, values := range w.header {
			plain, marked := strings.CutPrefix(name, http.TrailerPrefix)
			if marked || slices.Contains(w.trailers, name) {
				trailer[plain] = values
			}
		}
		writeHeader(b, trailer)
		b.WriteString("\r\n")
	}
	return w.h.bw.Flush()
}

// asked reports whether the client was told to send the body.
func (b *body) asked() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.told
}
