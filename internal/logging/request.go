package logging

import (
	"context"
	"log/slog"
)

type requestKey struct{}

// WithRequest gives what is done in the context of a request its id: every line that is
// logged with that context carries it.
func WithRequest(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

// RequestOf returns the id of the request that ctx belongs to; "" when there is none.
func RequestOf(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

// Handler adds to every line the id of the request in whose context it was logged.
func Handler(next slog.Handler) slog.Handler { return handler{next} }

type handler struct{ slog.Handler }

// Handle writes a line.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	if id := RequestOf(ctx); id != "" {
		r.AddAttrs(slog.String(Request, id))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs returns a handler whose lines carry the attributes.
func (h handler) WithAttrs(as []slog.Attr) slog.Handler { return handler{h.Handler.WithAttrs(as)} }

// WithGroup returns a handler whose attributes are in a group.
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }
