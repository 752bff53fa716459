// Package logging sets log/slog up, and names the attributes that every part logs by, so
// that one search finds all that happened to one session, device or source.
package logging

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// The keys of attributes. Facts are attributes; messages are constant.
const (
	Part    = "part" // which part of the program speaks
	User    = "user"
	Device  = "device"
	Service = "service"
	Session = "session"
	Site    = "site"
	Source  = "source"  // the address that a session admits, or a request came from
	Request = "request" // the id of the request that caused the line; see WithRequest
	Profile = "profile" // the name of what a device knocks with
	Took    = "took"
	Err     = "err"
)

// New returns a logger that writes to w. The level is debug, info, warn or error; the
// format is text or json.
func New(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	switch strings.ToLower(level) {
	case "debug":
		l = slog.LevelDebug
	case "info":
		l = slog.LevelInfo
	case "warn":
		l = slog.LevelWarn
	case "error":
		l = slog.LevelError
	default:
		return nil, fmt.Errorf("log level %q is not one of debug, info, warn, error", level)
	}
	o := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(Handler(slog.NewTextHandler(w, o))), nil
	case "json":
		return slog.New(Handler(slog.NewJSONHandler(w, o))), nil
	}
	return nil, fmt.Errorf("log format %q is not one of text, json", format)
}
