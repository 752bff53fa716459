package api

import (
	"context"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/auth"
)

// operation describes one operation in a line or two.
type operation struct {
	method, path string // path below base
	id           string // of the operation, for generated clients
	summary      string
	tag          string
	status       int      // of success; 0: 200
	who          who      // may call it
	scope        []string // of which a token needs one; the full scope always will do. Not for anybody
	fails        []int    // statuses that it may answer beside those that follow from the rest
	maxBody      int64    // bytes; 0: maxBody
	description  string   // what the summary does not say
	refusal      any      // what a 401 looks like; nil: like every problem
	restricted   bool     // also for users who have to change their password before all else
}

// who may call an operation. It is checked before the operation runs, and again by access.
type who string

const (
	// anybody needs no login: what they may is decided by what they send.
	anybody who = "anybody"
	// users are whoever is signed in, and see and change what is theirs.
	users who = "user"
	// owner is the user whom the thing in the path belongs to (of services and sites: who can
	// use them), or an admin. For all others it is not there.
	owner who = "owner"
	// admins are users with the role admin.
	admins who = "admin"
)

// The extensions of the OpenAPI document that tell who may call an operation.
const (
	whoKey   = "x-ownline-who"
	scopeKey = "x-ownline-scope"
)

// rule is who may call an operation, as the operation carries it.
type rule struct {
	who        who
	scope      []string
	restricted bool
}

const ruleKey = "rule"

// check refuses whom the rule does.
func (r rule) check(id auth.Identity) error {
	if r.who == anybody {
		return nil
	}
	if !id.Known() {
		return ownline.ErrUnauthorized
	}
	if id.User.MustChange && !r.restricted {
		return errMustChange
	}
	if r.who == admins {
		return actor(id).MustAdmin(r.scope...)
	}
	return actor(id).May(r.scope...)
}

// register adds an operation. Its errors become problems, the same everywhere.
func register[I, O any](s *Server, o operation, handler func(ctx context.Context, id auth.Identity, in *I) (*O, error)) {
	_, hasBody := reflect.TypeFor[I]().FieldByName("Body")
	if _, raw := reflect.TypeFor[I]().FieldByName("RawBody"); raw {
		hasBody = true
	}
	op := s.operation(o, hasBody)
	huma.Register(s.huma, op, func(ctx context.Context, in *I) (*O, error) {
		id, _ := ctx.Value(identityKey{}).(auth.Identity)
		err := checkText(in)
		var out *O
		if err == nil {
			out, err = handler(ctx, id, in)
		}
		if err != nil {
			return nil, s.problem(ctx, operationOf(ctx, &op), err)
		}
		return out, nil
	})
	if o.refusal != nil {
		schema := s.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeOf(o.refusal), true, "")
		op.Responses[strconv.Itoa(http.StatusUnauthorized)].Content[problemType].Schema = schema
	}
}

func (s *Server) operation(o operation, hasBody bool) huma.Operation {
	op := huma.Operation{
		Method: o.method, Path: base + o.path, OperationID: o.id, Summary: o.summary, Description: o.description, Tags: []string{o.tag},
		DefaultStatus: o.status, MaxBodyBytes: maxBody, BodyReadTimeout: bodyTimeout,
		Metadata: map[string]any{ruleKey: o.rule()}, Errors: o.failures(hasBody),
	}
	op.Extensions = map[string]any{whoKey: o.who}
	op.Responses = map[string]*huma.Response{}
	if o.maxBody > 0 {
		op.MaxBodyBytes = o.maxBody
	}
	if o.status == http.StatusNoContent {
		op.Responses["204"] = &huma.Response{Description: "Done"}
	}
	if o.who != anybody {
		op.Security = []map[string][]string{{"cookie": {}}, {"token": {}}}
		op.Extensions[scopeKey] = append([]string{ownline.ScopeFull}, o.scope...)
	}
	return op
}

// rule returns the operation's rule. It panics when the operation has none, so that no route
// is served that nobody has thought about.
func (o operation) rule() rule {
	unknown := func(s string) bool { return s == ownline.ScopeFull || !slices.Contains(ownline.Scopes(), s) }
	switch {
	case !slices.Contains([]who{anybody, users, owner, admins}, o.who):
		panic(o.id + " does not say who may call it")
	case (o.who == anybody) != (len(o.scope) == 0), slices.ContainsFunc(o.scope, unknown):
		panic(o.id + " does not say which tokens may call it; full ones always may")
	case o.who == admins && !slices.Contains(o.scope, ownline.ScopeAdmin), o.who == owner && !strings.Contains(o.path, "{"):
		panic(o.id + ": who may call it and its scope or path don't go together")
	}
	return rule{o.who, o.scope, o.restricted}
}

// anyScope is for operations that every token may call.
func anyScope() []string { return ownline.Scopes()[1:] }

type (
	identityKey  struct{}
	operationKey struct{}
)

// operationOf returns the operation that a request came to, with its parameters and body as
// they are documented.
func operationOf(ctx context.Context, or *huma.Operation) *huma.Operation {
	if op, ok := ctx.Value(operationKey{}).(*huma.Operation); ok {
		return op
	}
	return or
}

// admit lets a request through to its operation: a state change only from our own origin,
// and only from whom the operation's rule allows.
func (s *Server) admit(ctx huma.Context, next func(huma.Context)) {
	r, _ := humago.Unwrap(ctx)
	if err := s.sameOrigin(r); err != nil {
		s.writeProblem(ctx, err)
		return
	}
	id, err := s.auth.Identify(r)
	if err != nil {
		s.writeProblem(ctx, err)
		return
	}
	if !id.Login.IsZero() && !safe(r.Method) && r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "" {
		// Every browser sends at least one of them.
		s.writeProblem(ctx, errNotOurOrigin)
		return
	}
	rule, ok := ctx.Operation().Metadata[ruleKey].(rule)
	if !ok {
		panic("an operation without a rule")
	}
	if err := rule.check(id); err != nil {
		s.writeProblem(ctx, err)
		return
	}
	if err := once(ctx.Operation(), r.URL.Query()); err != nil {
		s.writeProblem(ctx, err)
		return
	}
	next(huma.WithValue(huma.WithValue(ctx, identityKey{}, id), operationKey{}, ctx.Operation()))
}

// once refuses a parameter that is given twice: which of them counts would be a guess.
func once(op *huma.Operation, query url.Values) error {
	for _, p := range op.Parameters {
		if p.In == "query" && len(query[p.Name]) > 1 && !op.SkipValidateParams {
			return ownline.Invalid(p.Name, "is given more than once")
		}
	}
	return nil
}

// errMustChange keeps a user whose password an admin knows from doing anything else.
var errMustChange = &ownline.FieldError{Kind: ownline.ErrForbidden, Detail: "an admin has set your password; choose your own first"}

var errNotOurOrigin = &ownline.FieldError{Kind: ownline.ErrForbidden, Detail: "the request does not come from Ownline's own pages"}

func (s *Server) sameOrigin(r *http.Request) error {
	if s.origin.Check(r) != nil {
		return errNotOurOrigin
	}
	// A name that an attacker points at this machine is an origin of its own, which the
	// standard check takes for ours (DNS rebinding).
	if o := r.Header.Get("Origin"); o != "" && s.publicURL != "" && o != s.publicURL {
		return errNotOurOrigin
	}
	return nil
}

func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// actor is the identity as access knows it.
func actor(id auth.Identity) access.Actor {
	a := access.Actor{User: id.User, By: access.ByLogin, Scopes: id.Scopes, Client: id.Client}
	if !id.Token.IsZero() {
		a.By = access.ByToken
	}
	return a
}

// ListInput asks for a part of a list.
type ListInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many at most"`
	Cursor string `query:"cursor" maxLength:"512" doc:"What the page before returned as next"`
}

func (l ListInput) page() ownline.Page { return ownline.Page{Limit: l.Limit, Cursor: l.Cursor} }

// list is a part of a list.
type list[T any] struct {
	Items []T    `json:"items" nullable:"false"`
	Next  string `json:"next,omitempty" doc:"The cursor of the next part; absent after the last one"`
}

// listOf shows every item.
func listOf[T, V any](items []T, next string, view func(T) V) *output[list[V]] {
	out := make([]V, 0, len(items))
	for _, item := range items {
		out = append(out, view(item))
	}
	return &output[list[V]]{Body: list[V]{Items: out, Next: next}}
}

// output is an answer with a body.
type output[T any] struct{ Body T }

func show[T any](v T) *output[T] { return &output[T]{Body: v} }

// noInput is what operations without parameters take.
type noInput struct{}

// ByID names one thing by the path.
type ByID struct {
	ID string `path:"id" format:"uuid"`
}

// body and bodyByID take a body; the latter for one thing that the path names.
type body[T any] struct{ Body T }

type bodyByID[T any] struct {
	ByID
	Body T
}

// parseID reads an identifier. The empty string is the zero identifier.
func parseID[T any](field, s string) (ownline.ID[T], error) {
	if s == "" {
		return ownline.ID[T]{}, nil
	}
	id, err := ownline.ParseID[T](s)
	if err != nil {
		return id, ownline.Invalid(field, "is not an identifier")
	}
	return id, nil
}

// parseDuration reads a duration like 30m. The empty string is 0.
func parseDuration(field, s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, ownline.Invalid(field, "is not a duration like 30m or 2h")
	}
	return d, nil
}

// optional is how times that may be missing are shown.
func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
