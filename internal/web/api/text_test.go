package api

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
)

// What only one of the databases would keep is refused by every operation, in every text
// that it takes: NUL, and what is no UTF-8.
func TestBadText(t *testing.T) {
	w := newWorld(t)
	operations := map[string]*huma.Operation{}
	doc := w.api.huma.OpenAPI()
	eachOperation(doc, func(_ string, op *huma.Operation) { operations[op.OperationID] = op })
	calls, _, requests := w.prepared(func(c call) bool {
		// A stream keeps nothing, and the parameters of the other are the identity provider's.
		return c.id != "events" && c.id != "oidc-callback"
	})
	tried := 0
	for i, c := range calls {
		op, r := operations[c.id], requests[i]
		for _, p := range op.Parameters {
			if p.Schema.Type != huma.TypeString || p.In == "path" || p.Name == "If-None-Match" {
				continue
			}
			tried++
			if p.In == "header" {
				c.send(w, r, append(bearer(w.admin), p.Name, "\xff\xfe")...).problem(422, "header."+p.Name)
				continue
			}
			for _, bad := range []string{"\x00", "\xff"} {
				asked := c
				asked.path += "?" + url.Values{p.Name: {bad}}.Encode()
				asked.send(w, r, bearer(w.admin)...).problem(422, "query."+p.Name)
			}
		}
		if op.RequestBody == nil || op.RequestBody.Content["application/json"] == nil {
			continue
		}
		schema := op.RequestBody.Content["application/json"].Schema
		if schema.Ref != "" {
			schema = doc.Components.Schemas.SchemaFromRef(schema.Ref)
		}
		for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
			if schema.Properties[name].Type != huma.TypeString {
				continue
			}
			bad, body := r, m{}
			if good, ok := r.body.(m); ok {
				maps.Copy(body, good)
			}
			body[name], bad.body = "four words are\x00enough", body
			tried++
			c.send(w, bad, bearer(w.admin)...).problem(422, "body."+name)
		}
	}
	if tried < 60 {
		t.Errorf("only %d texts were tried", tried)
	}
	// Below the top, and in what is of any form.
	w.do("", "POST", "/auth/passkey", m{"challenge": "x", "credential": m{"id": []any{m{"x": "\x00"}}}}).problem(422, "body.credential")
	w.do("", "POST", "/auth/passkey", m{"challenge": "x", "credential": m{"\x00": 1}}).problem(422, "body.credential")
}

// Names of tokens are shown, so they are printable.
func TestTokenNames(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"a\nb", "\x1b[2J", "a\u202eb", " "} {
		w.addToken(w.ana, m{"name": name, "scopes": []string{"read"}}).problem(422, "body.name")
		w.do("", "POST", "/auth/token", m{"name": "ana", "password": userPassword, "label": name}).problem(422, "body.label")
	}
	w.addToken(w.ana, m{"name": strings.Repeat("ü", 64), "scopes": []string{"read"}}).want(201)
}

// A problem says where in the request it is, and not where nothing can be.
func TestLocations(t *testing.T) {
	w := newWorld(t)
	ssh := w.addService("ssh", "192.168.7.10:22")
	rdp := w.addService("rdp", "192.168.7.10:3389")
	w.addGrant(w.ana, ssh, nil)
	w.addGrant(w.ana, rdp, nil)
	w.do(w.ana, "POST", "/sessions", m{"service": ssh.ID}, "Idempotency-Key", "k").want(201)
	w.do(w.ana, "POST", "/sessions", m{"service": rdp.ID}, "Idempotency-Key", "k").problem(409, "header.Idempotency-Key")
	w.do(w.admin, "DELETE", "/users/"+w.id(w.admin), nil).problem(409, "path.id")
}

// What the document does not have is not taken: names in another case, parameters twice.
func TestInputIsAsDocumented(t *testing.T) {
	w := newWorld(t)
	w.addToken(w.ana, m{"NAME": "x", "scopes": []string{"read"}}).problem(422, "body")
	w.addToken(w.ana, m{"name": "x", "scopes": []string{"read"}, "Name": "y"}).problem(422, "body.Name")
	w.do(w.ana, "GET", "/tokens?limit=1&limit=2", nil).problem(422, "query.limit")
}
