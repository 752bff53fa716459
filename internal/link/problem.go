package link

import (
	"errors"
	"net/http"

	"github.com/ownline/ownline/internal/ownline"
)

// Problem carries an error over the link, with its kind and field.
type Problem struct {
	Kind   string `json:"kind"`
	Field  string `json:"field,omitempty"`
	Detail string `json:"detail"`
}

// ErrStale refuses a revision that is older than what core has.
var ErrStale = errors.New("stale revision")

// ErrUnpaired refuses a web that this core is not paired with.
var ErrUnpaired = errors.New("not paired")

const internalKind = "internal"

var problemKinds = []struct {
	kind   string
	err    error
	status int
}{
	{"invalid", ownline.ErrInvalid, http.StatusUnprocessableEntity},
	{"not_found", ownline.ErrNotFound, http.StatusNotFound},
	{"stale", ErrStale, http.StatusConflict},
	{"conflict", ownline.ErrConflict, http.StatusConflict},
	{"unpaired", ErrUnpaired, http.StatusUnauthorized},
	{"forbidden", ownline.ErrForbidden, http.StatusForbidden},
	{"unavailable", ownline.ErrUnavailable, http.StatusServiceUnavailable},
}

// ProblemOf puts an error into a message. What is of none of the kinds keeps its text: both
// ends belong to the same admin.
func ProblemOf(err error) *Problem {
	if err == nil {
		return nil
	}
	p := &Problem{Kind: internalKind, Detail: err.Error()}
	for _, k := range problemKinds {
		if errors.Is(err, k.err) {
			p.Kind = k.kind
			break
		}
	}
	if fe, ok := errors.AsType[*ownline.FieldError](err); ok {
		p.Field, p.Detail = fe.Field, fe.Detail
	}
	return p
}

// Err turns a message back into an error of the same kind.
func (p *Problem) Err() error {
	if p == nil {
		return nil
	}
	for _, k := range problemKinds {
		if p.Kind == k.kind {
			return &ownline.FieldError{Kind: k.err, Field: p.Field, Detail: p.Detail}
		}
	}
	return errors.New("core: " + p.Detail)
}

func (p *Problem) status() int {
	for _, k := range problemKinds {
		if p.Kind == k.kind {
			return k.status
		}
	}
	return http.StatusInternalServerError
}
