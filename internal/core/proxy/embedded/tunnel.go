package embedded

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// tunnel passes bytes both ways after both ends have agreed on another protocol, WebSocket
// mostly, until both have ended or one breaks.
func (s *Server) tunnel(w http.ResponseWriter, r *http.Request, resp *http.Response, wanted string) (status int, sent int64, whole bool) {
	front, ok := w.(*response)
	back, ok2 := resp.Body.(*answer)
	if !ok || !ok2 || wanted == "" || !strings.EqualFold(resp.Header.Get("Upgrade"), wanted) {
		resp.Body.Close()
		badAnswer.Answer(w, r.Method, r.Header, connOf(r.Context()).route.service.Name)
		return badAnswer.Status, 0, true
	}
	name := resp.Header.Get("Upgrade")
	removeHop(resp.Header)
	resp.Header["Connection"], resp.Header["Upgrade"] = []string{"Upgrade"}, []string{name}
	copyHeader(front.header, resp.Header)

	h := front.h
	h.rest()
	front.hijacked = true
	server := back.conn
	defer server.Close()
	front.WriteHeader(http.StatusSwitchingProtocols)
	h.tls.SetReadDeadline(time.Time{})
	if h.bw.Flush() != nil {
		return statusGone, 0, false
	}
	var up sync.WaitGroup
	up.Go(func() { pump(server.Conn, h.br, h.tls, h.tls) })
	sent = pump(h.tls, server.br, server.Conn, server.Conn)
	up.Wait()
	return http.StatusSwitchingProtocols, sent, true
}

var small = sync.Pool{New: func() any { return new([8 << 10]byte) }}

// pump copies what is buffered, then the rest, and hands the end on. An error closes both.
func pump(to net.Conn, buffered interface {
	Buffered() int
	io.Reader
}, from, back net.Conn,
) int64 {
	buf := small.Get().(*[8 << 10]byte)
	defer small.Put(buf)
	n, err := io.CopyN(struct{ io.Writer }{to}, buffered, int64(buffered.Buffered()))
	if err == nil {
		var m int64
		m, err = io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, buf[:])
		n += m
	}
	half, ok := to.(interface{ CloseWrite() error })
	if err == nil && ok {
		err = half.CloseWrite()
	} else if err == nil {
		err = errors.ErrUnsupported
	}
	if err != nil {
		to.Close()
		back.Close()
	}
	return n
}
