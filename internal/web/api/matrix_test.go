package api

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ownline/ownline/internal/ownline"
)

// call is one operation of the document.
type call struct {
	id, method, path string // below base, with its parameter
	rule
	success int
}

// calls returns every operation. One that has no rule, or needs a fixture that there is not,
// fails the test.
func (w *world) calls() (out []call) {
	w.t.Helper()
	known := map[string]bool{}
	eachOperation(w.api.huma.OpenAPI(), func(path string, op *huma.Operation) {
		r, ok := op.Metadata[ruleKey].(rule)
		if !ok {
			w.t.Errorf("%s has no rule", op.OperationID)
			return
		}
		known[op.OperationID] = true
		c := call{id: op.OperationID, method: op.Method, path: strings.TrimPrefix(path, base), rule: r, success: op.DefaultStatus}
		if c.success == 0 {
			c.success = http.StatusOK
		}
		if (op.RequestBody != nil && op.RequestBody.Required || strings.Contains(path, "{")) && fixtures[c.id] == nil {
			w.t.Errorf("%s: say in fixtures how it is called", c.id)
			return
		}
		if c.who == admins != strings.Contains(op.Summary, "(admin)") {
			w.t.Errorf("%s: the summary %q and the rule %q don't say the same", c.id, op.Summary, c.who)
		}
		out = append(out, c)
	})
	for id := range fixtures {
		if !known[id] {
			w.t.Errorf("there is no operation %s any more", id)
		}
	}
	return out
}

// prepare makes what the call needs, of the person.
func (c call) prepare(w *world, of *person) request {
	w.t.Helper()
	var r request
	if make := fixtures[c.id]; make != nil {
		r = make(scene{w, of})
	}
	if r.want == 0 {
		r.want = c.success
	}
	return r
}

// prepared makes what every call needs that is wanted, each of a person of its own.
func (w *world) prepared(wanted func(call) bool) (calls []call, owners []*person, requests []request) {
	w.t.Helper()
	for _, c := range w.calls() {
		if wanted(c) {
			of := w.person(ownline.Person)
			calls, owners, requests = append(calls, c), append(owners, of), append(requests, c.prepare(w, of))
		}
	}
	return calls, owners, requests
}

// send makes the call with the headers that say who calls.
func (c call) send(w *world, r request, who ...string) answer {
	w.t.Helper()
	path := c.path
	if before, rest, ok := strings.Cut(path, "{"); ok {
		_, after, _ := strings.Cut(rest, "}")
		path = before + r.id + after
	}
	headers := slices.Concat([]string{"X-Forwarded-For", "198.51.100.7"}, who, r.headers)
	if c.id == "events" { // has no end
		if f := w.follow("", headers...); f.status == http.StatusOK {
			return answer{t: w.t, what: c.id, status: f.status}
		}
	}
	return w.raw(c.method, path, r.body, headers...)
}

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }
func cookied(cookie string) []string {
	return []string{"Cookie", cookie, "Sec-Fetch-Site", "same-origin", "Origin", publicURL}
}

// roles are those who get nowhere, or only so far.
type roles struct {
	guest             string            // the secret of an invitation
	small             map[string]string // tokens of an admin, by their one scope
	mustUser, mustAdm []string          // tokens and cookies of who has to change the password
}

func (w *world) roles() roles {
	w.t.Helper()
	r := roles{small: map[string]string{}}
	ssh := w.addService(w.unique("s"), "192.168.7.10:22")
	w.addGrant(w.ana, ssh, nil)
	_, r.guest = w.invite(w.ana, ssh, nil)
	for _, s := range ownline.Scopes()[1:] {
		r.small[s] = as[struct{ Token string }](w.addToken(w.admin, m{"name": s, "scopes": []string{s}}), 201).Token
	}
	for role, tokens := range map[string]*[]string{"user": &r.mustUser, "admin": &r.mustAdm} {
		name := w.unique("must")
		w.do(w.admin, "POST", "/users", m{"name": name, "password": userPassword, "role": role}).want(201)
		*tokens = bearer(w.token(name, userPassword))
	}
	return r
}

// Invariant 7, for every operation of the document: who is refused, and that it changes
// nothing.
func TestMatrixRefused(t *testing.T) {
	w := newWorld(t)
	roles := w.roles()
	other := w.person(ownline.Person)
	calls, owners, requests := w.prepared(func(c call) bool { return c.who != anybody }) // who decide by what they send: see below
	before := w.snapshot()
	for i, c := range calls {
		of, r := owners[i], requests[i]
		c.send(w, r).problem(401, "")
		c.send(w, r, bearer(roles.guest)...).problem(401, "")
		c.send(w, r, cookied("__Host-ownline="+roles.guest)...).problem(401, "")
		switch {
		case c.who == admins:
			for _, p := range []*person{of, other} {
				c.send(w, r, bearer(p.token)...).problem(403, "")
				c.send(w, r, cookied(p.browser.cookie)...).problem(403, "")
			}
		case strings.Contains(c.path, "{"): // one thing, which is of's
			c.send(w, r, bearer(other.token)...).problem(404, "path.id")
			c.send(w, r, cookied(other.browser.cookie)...).problem(404, "path.id")
		}
		for scope, k := range roles.small {
			if !slices.Contains(c.scope, scope) {
				c.send(w, r, bearer(k)...).problem(403, "")
			}
		}
		for _, who := range [][]string{roles.mustUser, roles.mustAdm} {
			if c.restricted {
				continue
			}
			got := c.send(w, r, who...)
			if got.problem(403, ""); !strings.Contains(string(got.body), ownline.ProblemChangePassword) {
				t.Errorf("%s: whoever has to change the password gets %s", c.id, got.body)
			}
		}
	}
	if after := w.snapshot(); after != before {
		t.Errorf("something changed:\n%s\n%s", before, after)
	}
}

// The other half: whoever may is let through, by a login and by tokens whose scope is
// enough, each with people and things of its own.
func TestMatrixAllowed(t *testing.T) {
	w := newWorld(t)
	roles := w.roles()
	for _, c := range w.calls() {
		try := func(role string, of *person, who []string) {
			t.Helper()
			r := c.prepare(w, of)
			if r.browser && !slices.Contains(who, "Cookie") {
				return
			}
			if got := c.send(w, r, who...); got.status != r.want {
				t.Errorf("%s as %s: %d, want %d: %s", c.id, role, got.status, r.want, got.body)
			}
		}
		token := func(p *person, scope string) []string {
			return bearer(as[struct{ Token string }](w.addToken(p.token, m{"name": "x", "scopes": []string{scope}}), 201).Token)
		}
		var scopes []string
		if c.who != anybody { // the least that will do, and the most
			scopes = slices.Compact([]string{ownline.ScopeFull, c.scope[0], c.scope[len(c.scope)-1]})
		}
		switch c.who {
		case anybody:
			p := w.person(ownline.Person)
			for role, who := range map[string][]string{
				"nobody": nil, "a guest": bearer(roles.guest), "a user": bearer(w.ana), "an admin": bearer(w.admin), "who must change": roles.mustUser, "a browser": cookied(p.browser.cookie),
			} {
				try(role, w.person(ownline.Person), who)
			}
		case users:
			for _, role := range []ownline.Role{ownline.Person, ownline.Admin} {
				for _, scope := range scopes {
					if scope == ownline.ScopeAdmin && role == ownline.Person {
						continue // such tokens are for admins
					}
					p := w.person(role)
					try(string(role)+", "+scope, p, token(p, scope))
				}
				p := w.person(role)
				try(string(role), p, cookied(p.browser.cookie))
			}
		case owner:
			for _, scope := range scopes {
				p, adm := w.person(ownline.Person), w.person(ownline.Admin)
				if scope != ownline.ScopeAdmin {
					try("owner, "+scope, p, token(p, scope))
				}
				if slices.Contains([]string{ownline.ScopeFull, ownline.ScopeAdmin, ownline.ScopeRead}, scope) { // others don't make an admin of one
					try("admin, "+scope, w.person(ownline.Person), token(adm, scope))
				}
			}
			p := w.person(ownline.Person)
			try("owner", p, cookied(p.browser.cookie))
			try("admin", w.person(ownline.Person), cookied(w.person(ownline.Admin).browser.cookie))
		case admins:
			for _, scope := range scopes {
				try("admin, "+scope, w.person(ownline.Person), token(w.person(ownline.Admin), scope))
			}
			try("admin", w.person(ownline.Person), cookied(w.person(ownline.Admin).browser.cookie))
		}
		w.do(w.admin, "DELETE", "/sessions?all=true", nil).want(200)
	}
}

// Invariant 7: no operation that changes something is run for another origin, whoever asks
// and whatever proves who they are.
func TestMatrixOrigins(t *testing.T) {
	w := newWorld(t)
	adm := w.person(ownline.Admin)
	calls, owners, requests := w.prepared(func(c call) bool { return !safe(c.method) })
	before := w.snapshot()
	for i, c := range calls {
		r := requests[i]
		for _, p := range []*person{owners[i], adm} {
			for _, headers := range [][]string{
				{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
				{"Sec-Fetch-Site", "same-site", "Origin", "https://evil.own.example.org:9999"},
				{"Origin", "https://own.example.org"},
				{"Origin", "null"},
				{"Sec-Fetch-Site", "same-origin", "Origin", w.server.URL},
				{}, // no browser sends nothing
			} {
				c.send(w, r, append([]string{"Cookie", p.browser.cookie}, headers...)...).problem(403, "")
			}
		}
		c.send(w, r, append(bearer(w.admin), "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example")...).problem(403, "")
	}
	if len(calls) < 20 {
		t.Errorf("only %d operations change something", len(calls))
	}
	if after := w.snapshot(); after != before {
		t.Errorf("something changed:\n%s\n%s", before, after)
	}
}

// Every operation is described whole: what it does, what goes in and comes out by example,
// and how it may be refused.
func TestDocumentComplete(t *testing.T) {
	w := newWorld(t)
	doc := w.api.huma.OpenAPI()
	check := func(what string, content map[string]*huma.MediaType) {
		for kind, media := range content {
			if media.Example == nil {
				t.Errorf("%s has no example of %s", what, kind)
				continue
			}
			if kind != "application/json" && kind != problemType {
				continue
			}
			b, err := json.Marshal(media.Example)
			if err != nil {
				t.Fatal(err)
			}
			var v any
			if err := json.Unmarshal(b, &v); err != nil {
				t.Fatal(err)
			}
			res := &huma.ValidateResult{}
			huma.Validate(doc.Components.Schemas, media.Schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, v, res)
			for _, err := range res.Errors {
				t.Errorf("%s: the example does not fit: %v", what, err)
			}
		}
	}
	eachOperation(doc, func(_ string, op *huma.Operation) {
		if op.Summary == "" || op.OperationID == "" || len(op.Tags) == 0 {
			t.Errorf("%s has no summary or tag", op.OperationID)
		}
		if op.RequestBody != nil {
			check(op.OperationID+"'s body", op.RequestBody.Content)
		}
		for code, r := range op.Responses {
			if r.Description == "" {
				t.Errorf("%s: %s says nothing", op.OperationID, code)
			}
			check(op.OperationID+"'s "+code, r.Content)
		}
		for _, status := range op.Errors {
			if r := op.Responses[strconv.Itoa(status)]; r == nil || r.Content[problemType] == nil {
				t.Errorf("%s: %d is no problem", op.OperationID, status)
			}
		}
		if op.Responses["default"] != nil {
			t.Errorf("%s does not say how it is refused", op.OperationID)
		}
	})
}
