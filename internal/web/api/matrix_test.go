package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ownline/ownline/internal/ownline"
)

// call is one operation of the document with something of ana's in its path.
type call struct {
	id, method, path string
	body             any
	who              who
	scope            []string
	documented       []int
}

// things is one of each thing that paths name: ana's where it can be a user's.
func (w *world) things() (things map[string]string, secret string) {
	w.t.Helper()
	ssh := w.addService(fmt.Sprintf("s%d", time.Now().UnixNano()), "192.168.7.10:22")
	grant := w.addGrant(w.ana, ssh, nil)
	w.do(w.admin, "PUT", "/services/"+ssh.ID+"/icon", sampleSVG, "Content-Type", "image/svg+xml").want(200)
	dev := as[Device](w.do(w.ana, "POST", "/devices", m{"site": w.site.ID, "name": "phone"}), 201)
	ses := as[session](w.do(w.ana, "POST", "/sessions", m{"service": ssh.ID}), 201)
	tok := as[Token](w.addToken(w.ana, m{"name": "t", "scopes": []string{"read"}}), 201)
	inv, secret := w.invite(w.ana, ssh, nil)
	return map[string]string{
		"services": ssh.ID, "grants": grant.ID, "devices": dev.ID, "sessions": ses.ID, "tokens": tok.ID, "invitations": inv.ID,
		"users": w.id(w.ana), "sites": w.site.ID, "me/passkeys": sample, "logins": sample,
	}, secret
}

// calls makes one call of every operation. An operation that names a thing that things does
// not have, or that has no rule, fails the test.
func (w *world) calls(things map[string]string) (out []call) {
	w.t.Helper()
	doc := w.api.huma.OpenAPI()
	eachOperation(doc, func(path string, op *huma.Operation) {
		if path == base+"/events" || strings.HasPrefix(path, base+"/notifications") {
			return // a stream: see events_test.go; and what this world has not, see notifications_test.go
		}
		r, ok := op.Metadata[ruleKey].(rule)
		if !ok {
			w.t.Errorf("%s has no rule", op.OperationID)
			return
		}
		c := call{id: op.OperationID, method: op.Method, path: strings.TrimPrefix(path, base), who: r.who, scope: r.scope, documented: op.Errors}
		if kind, _, ok := strings.Cut(strings.TrimPrefix(c.path, "/"), "/{"); ok {
			thing := things[kind]
			if thing == "" {
				w.t.Errorf("%s: make one of %s in things", c.id, kind)
			}
			c.path = strings.Replace(c.path, "{id}", thing, 1)
		}
		if op.RequestBody != nil && op.RequestBody.Required {
			if media := op.RequestBody.Content["application/json"]; media != nil {
				c.body = needed(doc, media)
			} else {
				c.body = sampleSVG
			}
		}
		if c.who == admins != strings.Contains(op.Summary, "(admin)") {
			w.t.Errorf("%s: the summary %q and the rule %q don't say the same", c.id, op.Summary, c.who)
		}
		out = append(out, c)
	})
	return out
}

// tried is false for what needs a second proof of who asks, which their own tests bring.
func (c call) tried() bool {
	return !strings.Contains(c.path, "passkeys") && !strings.Contains(c.path, "totp") && !strings.Contains(c.path, "recovery") && !strings.Contains(c.path, "password") && !strings.Contains(c.path, "logins")
}

// needed is the example of a body without what may be left out.
func needed(doc *huma.OpenAPI, media *huma.MediaType) any {
	schema := media.Schema
	if schema.Ref != "" {
		schema = doc.Components.Schemas.SchemaFromRef(schema.Ref)
	}
	all, ok := media.Example.(map[string]any)
	if !ok {
		return media.Example
	}
	out := map[string]any{}
	for _, name := range schema.Required {
		out[name] = all[name]
	}
	return out
}

// Invariant 7, for every operation of the document: who is refused, and that it changes
// nothing. A route without a rule, or with a thing that isn't known here, fails.
func TestMatrixRefused(t *testing.T) {
	w := newWorld(t)
	things, secret := w.things()
	token := func(of, scope string) string {
		return as[struct{ Token string }](w.addToken(of, m{"name": scope, "scopes": []string{scope}}), 201).Token
	}
	small := map[string]string{}
	for _, s := range ownline.Scopes()[1:] {
		small[s] = token(w.admin, s)
	}
	before := w.snapshot()
	for _, c := range w.calls(things) {
		nobody := w.do("", c.method, c.path, c.body)
		guest := w.do(secret, c.method, c.path, c.body)
		switch {
		case c.who == anybody: // what they may is decided by what they send
			if nobody.status != 200 && !slices.Contains(c.documented, nobody.status) {
				t.Errorf("%s: nobody gets %d: %s", c.id, nobody.status, nobody.body)
			}
			continue
		case c.who == admins:
			w.do(w.bob, c.method, c.path, c.body).problem(403, "")
			w.do(w.ana, c.method, c.path, c.body).problem(403, "")
		case c.who == owner:
			w.do(w.bob, c.method, c.path, c.body).problem(404, "path.id")
		}
		nobody.problem(401, "")
		guest.problem(401, "")
		w.raw(c.method, c.path, c.body, "Cookie", "__Host-ownline="+secret, "Sec-Fetch-Site", "same-origin").problem(401, "")
		for scope, k := range small {
			if !slices.Contains(c.scope, scope) {
				w.do(k, c.method, c.path, c.body).problem(403, "")
			}
		}
	}
	if after := w.snapshot(); after != before {
		t.Errorf("something changed:\n%s\n%s", before, after)
	}
}

// The other half: whoever may is let through, with every token whose scope is enough.
func TestMatrixAllowed(t *testing.T) {
	w := newWorld(t)
	things, _ := w.things()
	for i, c := range w.calls(things) {
		own := strings.HasPrefix(c.path, "/users/") || strings.HasPrefix(c.path, "/auth/") || strings.HasPrefix(c.path, "/me/") || strings.HasPrefix(c.path, "/logins")
		if c.who == anybody || own { // what signs out or needs a second proof has tests of its own
			continue
		}
		w := w
		if slices.Contains([]string{"remove-user", "change-user", "remove-site"}, c.id) {
			w = newWorld(t) // the others need what it takes away
		}
		for _, role := range []string{"owner", "admin"} {
			whose := w.ana
			if role == "admin" {
				whose = w.admin
			} else if c.who == admins {
				continue
			}
			scope := c.scope[0]
			if role == "admin" && slices.Contains(c.scope, ownline.ScopeAdmin) {
				scope = ownline.ScopeAdmin
			}
			for _, s := range []string{ownline.ScopeFull, scope} {
				if s == ownline.ScopeAdmin && role == "owner" {
					continue // such tokens are for admins
				}
				if s == scope && c.id == "remove-site" {
					continue // it is gone
				}
				things, _ := w.things()
				c := w.calls(things)[i]
				k := as[struct{ Token string }](w.addToken(whose, m{"name": "x", "scopes": []string{s}}), 201).Token
				if c.id == "add-token" {
					c.body.(map[string]any)["scopes"] = []string{s} // no more than it has
				}
				if got := w.do(k, c.method, c.path, c.body); slices.Contains([]int{403, 404}, got.status) && !strings.Contains(c.path, sample) && c.tried() || got.status >= 500 {
					t.Errorf("%s as %s, scope %s: %d %s", c.id, role, s, got.status, got.body)
				}
				if c.id == "remove-user" {
					break // ana is gone, and her things
				}
			}
		}
	}
}

// Invariant 7: no operation that changes something is run for another origin, whoever asks
// and whatever proves who they are.
func TestMatrixOrigins(t *testing.T) {
	w := newWorld(t)
	things, _ := w.things()
	in := w.do("", "POST", "/auth/login", m{"name": "ana", "password": userPassword}, "Sec-Fetch-Site", "same-origin").want(200)
	cookie, _, _ := strings.Cut(in.header.Get("Set-Cookie"), ";")
	admin := w.do("", "POST", "/auth/login", m{"name": "root", "password": adminPassword}, "Sec-Fetch-Site", "same-origin").want(200)
	root, _, _ := strings.Cut(admin.header.Get("Set-Cookie"), ";")
	before := w.snapshot()
	n := 0
	for _, c := range w.calls(things) {
		if safe(c.method) {
			continue
		}
		n++
		for _, k := range []string{cookie, root} {
			for _, headers := range [][]string{
				{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
				{"Sec-Fetch-Site", "same-site", "Origin", "https://evil.own.example.org:9999"},
				{"Origin", "https://own.example.org"},
				{"Origin", "null"},
				{"Sec-Fetch-Site", "same-origin", "Origin", w.server.URL},
				{}, // no browser sends nothing
			} {
				w.raw(c.method, c.path, c.body, append([]string{"Cookie", k}, headers...)...).problem(403, "")
			}
		}
		w.do(w.admin, c.method, c.path, c.body, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example").problem(403, "")
	}
	if n < 20 {
		t.Errorf("only %d operations change something", n)
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
