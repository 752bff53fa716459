package acme

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// lower is a handler for what libraries tell: every step, and what they will try again as an
// error. To us all that is debug: what somebody has to know we say ourselves, in our words.
type lower struct{ slog.Handler }

// Enabled reports whether a line would be written.
func (l lower) Enabled(ctx context.Context, _ slog.Level) bool {
	return l.Handler.Enabled(ctx, slog.LevelDebug)
}

// Handle writes a line.
func (l lower) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return l.Handler.Handle(ctx, r)
}

// WithAttrs returns a handler whose lines carry the attributes.
func (l lower) WithAttrs(as []slog.Attr) slog.Handler { return lower{l.Handler.WithAttrs(as)} }

// WithGroup returns a handler whose attributes are in a group.
func (l lower) WithGroup(name string) slog.Handler { return lower{l.Handler.WithGroup(name)} }

// library is the log that a library gets.
func library(log *slog.Logger, name string) *slog.Logger {
	return slog.New(lower{log.With("library", name).Handler()})
}

// zapped is the same for a library that logs with zap.
func zapped(log *slog.Logger, name string) *zap.Logger {
	return zap.New(bridge{log.With("library", name).Handler()})
}

type bridge struct{ to slog.Handler }

// Enabled reports whether a line would be written.
func (b bridge) Enabled(zapcore.Level) bool {
	return b.to.Enabled(context.Background(), slog.LevelDebug)
}

// With returns a core whose lines carry the fields.
func (b bridge) With(fields []zapcore.Field) zapcore.Core {
	return bridge{b.to.WithAttrs(attrs(fields))}
}

// Check adds the core to those that write the entry.
func (b bridge) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if b.Enabled(e.Level) {
		return c.AddCore(e, b)
	}
	return c
}

// Write writes a line.
func (b bridge) Write(e zapcore.Entry, fields []zapcore.Field) error {
	r := slog.NewRecord(e.Time, slog.LevelDebug, e.Message, 0)
	r.AddAttrs(attrs(fields)...)
	return b.to.Handle(context.Background(), r)
}

// Sync has nothing to do.
func (bridge) Sync() error { return nil }

func attrs(fields []zapcore.Field) []slog.Attr {
	m := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(m)
	}
	out := make([]slog.Attr, 0, len(m.Fields))
	for _, k := range slices.Sorted(maps.Keys(m.Fields)) {
		out = append(out, slog.Any(k, m.Fields[k]))
	}
	return out
}
