package ownline

import (
	"errors"
	"strings"
)

// The kinds of error. Everything else is internal: it is logged, and callers outside see
// only that something failed.
var (
	ErrInvalid      = errors.New("invalid")       // the input is wrong; see FieldError
	ErrUnauthorized = errors.New("not signed in") // nobody has proved who they are
	ErrForbidden    = errors.New("not allowed")
	ErrNotFound     = errors.New("not found")
	ErrConflict     = errors.New("conflict")    // the input is fine, the present state is in its way
	ErrThrottled    = errors.New("throttled")   // too many tries
	ErrUnavailable  = errors.New("unavailable") // a part that is needed can't be reached
)

// FieldError says what is wrong, of which field, in words for the person who wrote it. It
// unwraps to its kind.
type FieldError struct {
	Kind   error  // one of the kinds above
	Field  string // as in the API or the configuration: "target", "grants.public_port"; may be empty
	Detail string // one sentence without the field's name: what is wrong and what would be right
}

// Error returns "field: detail".
func (e *FieldError) Error() string {
	return strings.TrimPrefix(e.Field+": "+e.Detail, ": ")
}

// Unwrap returns the kind.
func (e *FieldError) Unwrap() error { return e.Kind }

// Invalid makes an error of kind ErrInvalid about one field.
func Invalid(field, detail string) error {
	return &FieldError{Kind: ErrInvalid, Field: field, Detail: detail}
}

// Conflict makes an error of kind ErrConflict about one field.
func Conflict(field, detail string) error {
	return &FieldError{Kind: ErrConflict, Field: field, Detail: detail}
}

// Forbidden makes an error of kind ErrForbidden about one field.
func Forbidden(field, detail string) error {
	return &FieldError{Kind: ErrForbidden, Field: field, Detail: detail}
}

// NotFound makes an error of kind ErrNotFound: what was looked for, and the name given.
func NotFound(what, name string) error {
	return &FieldError{Kind: ErrNotFound, Field: what, Detail: `"` + name + `" not found`}
}

// The types of problems that clients have to tell from others of the same status (RFC 9457,
// section 3.1.1).
const (
	ProblemSecondFactor   = "urn:ownline:problem:second-factor"
	ProblemChangePassword = "urn:ownline:problem:change-password"
)
