package api

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/auth"
)

// kinds makes statuses of the kinds of error. The words are for errors that bring none.
var kinds = []struct {
	err    error
	status int
	words  string
}{
	{ownline.ErrInvalid, http.StatusUnprocessableEntity, "something in the request is wrong"},
	{ownline.ErrUnauthorized, http.StatusUnauthorized, "nobody is signed in"},
	{ownline.ErrForbidden, http.StatusForbidden, "this is not allowed"},
	{ownline.ErrNotFound, http.StatusNotFound, "there is no such thing"},
	{ownline.ErrConflict, http.StatusConflict, "the present state is in the way"},
	{ownline.ErrThrottled, http.StatusTooManyRequests, "too many tries"},
	{ownline.ErrUnavailable, http.StatusServiceUnavailable, "a part of Ownline that is needed does not answer"},
}

// internalWords are for errors that are of no kind.
const internalWords = "something went wrong here; the server's log says more"

// undocumented is logged when an operation is refused in a way that its description leaves
// out; tests fail of it.
const undocumented = "a status that the OpenAPI document does not have"

// problem turns an error into what the client is told. Of an error that is of no kind it
// is told nothing; that goes to the log.
func (s *Server) problem(ctx context.Context, op *huma.Operation, err error) error {
	p := &huma.ErrorModel{Status: http.StatusInternalServerError, Detail: internalWords}
	known := false
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			p.Status, p.Detail, known = k.status, k.words, true
			break
		}
	}
	switch {
	case !known && ctx.Err() != nil:
		p.Detail = "the request was given up" // nobody is there to read it
	case !known:
		s.log.ErrorContext(ctx, "request failed", "operation", op.OperationID, logging.Err, err)
	}
	if fe, ok := errors.AsType[*ownline.FieldError](err); ok && known {
		if p.Status == http.StatusNotFound && op.RequestBody != nil && !strings.Contains(op.Path, "{") {
			p.Status = http.StatusUnprocessableEntity // the body names something that is not there
		}
		p.Detail = fe.Error()
		what := &huma.ErrorDetail{Message: fe.Detail}
		if fe.Field != "" {
			what.Location = s.location(op, p.Status, fe.Field)
		}
		p.Errors = []*huma.ErrorDetail{what}
	}
	p.Title = http.StatusText(p.Status)
	if !slices.Contains(op.Errors, p.Status) {
		s.log.ErrorContext(ctx, undocumented, "operation", op.OperationID, "status", p.Status, logging.Err, err)
	}
	if errors.Is(err, errMustChange) {
		p.Type = ownline.ProblemChangePassword
	}
	if throttled, ok := errors.AsType[*auth.ThrottledError](err); ok {
		p.Detail = throttled.Error()
		seconds := int(math.Ceil(throttled.RetryAfter.Seconds()))
		return huma.ErrorWithHeaders(p, http.Header{"Retry-After": {strconv.Itoa(max(seconds, 1))}})
	}
	if p.Status == http.StatusUnauthorized {
		var answer error = p
		if second, ok := errors.AsType[*auth.SecondFactorError](err); ok {
			p.Type, p.Detail = ownline.ProblemSecondFactor, second.Error()
			answer = &secondFactorProblem{*p, second.Challenge, second.Factors}
		}
		return huma.ErrorWithHeaders(answer, http.Header{"WWW-Authenticate": {"Bearer"}})
	}
	return p
}

// secondFactorProblem says that the password was right, and how to go on.
type secondFactorProblem struct {
	huma.ErrorModel
	Challenge string   `json:"challenge,omitempty" doc:"To be sent with the second factor. Absent: the password was wrong"`
	Factors   []string `json:"factors,omitempty" enum:"totp,recovery_code,passkey" doc:"What will do"`
}

// location says where in the request a field is. What is no part of the request is about
// what its path names.
func (s *Server) location(op *huma.Operation, status int, field string) string {
	if status == http.StatusNotFound && strings.Contains(op.Path, "{id}") {
		return "path.id"
	}
	for _, p := range op.Parameters {
		if p.Name == field {
			return p.In + "." + field
		}
	}
	switch {
	case s.takes(op, field):
		return "body." + field
	case strings.Contains(op.Path, "{id}"):
		return "path.id"
	case op.RequestBody != nil:
		return "body"
	}
	return field
}

// takes reports whether the operation's body has such a field. A body that is no JSON is
// what any field is about.
func (s *Server) takes(op *huma.Operation, field string) bool {
	if op.RequestBody == nil {
		return false
	}
	if op.RequestBody.Content["application/json"] == nil {
		return true
	}
	schema := op.RequestBody.Content["application/json"].Schema
	if schema.Ref != "" {
		schema = s.huma.OpenAPI().Components.Schemas.SchemaFromRef(schema.Ref)
	}
	first, _, _ := strings.Cut(field, ".")
	return schema.Properties[first] != nil
}

// writeProblem answers in the place of an operation.
func (s *Server) writeProblem(ctx huma.Context, err error) {
	p := &huma.ErrorModel{}
	err = s.problem(ctx.Context(), ctx.Operation(), err)
	if withHeaders, ok := errors.AsType[huma.HeadersError](err); ok {
		for name, values := range withHeaders.GetHeaders() {
			ctx.SetHeader(name, values[0])
		}
	}
	if errors.As(err, &p) {
		named(ctx.Context(), p)
		ctx.SetHeader("Content-Type", p.ContentType("application/json"))
		ctx.SetStatus(p.Status)
		_ = json.NewEncoder(ctx.BodyWriter()).Encode(coded(p)) // a client that went away needs no answer
	}
}

// tell says what is wrong in the answers that say so, without what was sent: passwords are
// among it.
func (s *Server) tell(ctx huma.Context, _ string, v any) (any, error) {
	p, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	named(ctx.Context(), p)
	if p.Detail == "validation failed" && len(p.Errors) > 0 {
		p.Detail = strings.TrimPrefix(p.Errors[0].Location, "body.") + ": " + p.Errors[0].Message
	}
	return coded(p), nil
}

// named gives what is our own fault the name by which the log finds it.
func named(ctx context.Context, p *huma.ErrorModel) {
	if id := logging.RequestOf(ctx); id != "" && p.Status >= http.StatusInternalServerError {
		p.Instance = "urn:ownline:request:" + id
	}
}
