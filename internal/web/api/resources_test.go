package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

type m = map[string]any

func (w *world) addToken(token string, body m) answer {
	w.t.Helper()
	return w.do(token, "POST", "/tokens", body)
}

// A token can't give what it has not, nor last longer; its owner and admins revoke it.
func TestTokens(t *testing.T) {
	w := newWorld(t)
	type made struct{ ID, Token string }
	few := as[made](w.addToken(w.admin, m{"name": "few", "scopes": []string{"tokens", "read", "tokens"}, "expires": time.Now().Add(time.Hour)}), 201)
	if got := w.do(w.admin, "GET", "/tokens", nil).body; !strings.Contains(string(got), `["read","tokens"]`) {
		t.Errorf("tokens: %s", got)
	}
	in := func(d time.Duration) time.Time { return time.Now().Add(d) }
	for name, tc := range map[string]struct {
		token string
		body  m
		want  int
		field string
	}{
		"a part of it":             {few.Token, m{"name": "x", "scopes": []string{"read"}, "expires": in(time.Minute)}, 201, ""},
		"more scopes":              {few.Token, m{"name": "x", "scopes": []string{"read", "sessions"}, "expires": in(time.Minute)}, 403, "body.scopes"},
		"full":                     {few.Token, m{"name": "x", "scopes": []string{"full"}, "expires": in(time.Minute)}, 403, "body.scopes"},
		"more time":                {few.Token, m{"name": "x", "scopes": []string{"read"}, "expires": in(2 * time.Hour)}, 403, "body.expires"},
		"as long as it":            {few.Token, m{"name": "x", "scopes": []string{"read"}}, 201, ""},
		"unknown scope":            {w.admin, m{"name": "x", "scopes": []string{"root"}}, 422, "body.scopes[0]"},
		"no scope":                 {w.admin, m{"name": "x", "scopes": []string{}}, 422, "body.scopes"},
		"scopes absent":            {w.admin, m{"name": "x"}, 422, "body"},
		"a user's admin token":     {w.ana, m{"name": "x", "scopes": []string{"admin"}}, 403, "body.scopes"},
		"a user's token of a user": {w.ana, m{"name": "x", "scopes": []string{"sessions"}}, 201, ""},
	} {
		before := w.count(w.admin, "/tokens?all=true")
		got := w.addToken(tc.token, tc.body)
		if tc.want == 201 {
			got.want(201)
		} else {
			got.problem(tc.want, tc.field)
		}
		if n := w.count(w.admin, "/tokens?all=true") - before; (n == 1) != (tc.want == 201) {
			t.Errorf("%s: %d tokens made", name, n)
		}
	}
	id := w.id(w.ana)
	if n := w.count(w.ana, "/tokens"); n != 2 {
		t.Errorf("ana has %d tokens", n)
	}
	if n := w.count(w.admin, "/tokens?user="+id); n != 2 {
		t.Errorf("the admin sees %d tokens of ana's", n)
	}
	w.do(w.bob, "GET", "/tokens?user="+id, nil).problem(404, "query.user")
	w.do(w.admin, "GET", "/tokens?all=true&user="+id, nil).problem(422, "query.all")
	w.do(w.bob, "GET", "/tokens?all=true", nil).problem(403, "query.all")
	mine := as[made](w.addToken(w.ana, m{"name": "laptop", "scopes": []string{"full"}}), 201)
	w.do(w.bob, "DELETE", "/tokens/"+mine.ID, nil).problem(404, "path.id")
	w.do(mine.Token, "GET", "/me", nil).want(200)
	w.do(w.admin, "DELETE", "/tokens/"+mine.ID, nil).want(204)
	w.do(mine.Token, "GET", "/me", nil).problem(401, "")
	var used bool
	for _, k := range as[list[Token]](w.do(w.ana, "GET", "/tokens", nil), 200).Items {
		used = used || k.LastUsed != nil
	}
	if !used {
		t.Error("no token tells when it was used")
	}
}

// Scopes bite: a sessions token of an admin opens what the admin was granted, and nothing
// for others; a read token of an admin sees all and changes nothing.
func TestScopesBite(t *testing.T) {
	w := newWorld(t)
	ssh := w.addService("ssh", "192.168.7.10:22")
	w.addGrant(w.ana, ssh, nil)
	ses := as[session](w.do(w.ana, "POST", "/sessions", m{"service": ssh.ID}), 201)
	token := func(of string, scopes ...string) string {
		return as[struct{ Token string }](w.addToken(of, m{"name": "t", "scopes": scopes}), 201).Token
	}
	sessions, read, both := token(w.admin, "sessions"), token(w.admin, "read"), token(w.admin, "read", "sessions")
	w.do(sessions, "POST", "/sessions", m{"service": ssh.ID}).problem(422, "body.service")
	w.do(sessions, "GET", "/sessions/"+ses.ID, nil).problem(404, "path.id")
	w.do(sessions, "GET", "/sessions?all=true", nil).problem(403, "query.all")
	w.do(read, "GET", "/sessions/"+ses.ID, nil).want(200)
	w.do(read, "GET", "/sessions?all=true", nil).want(200)
	w.do(read, "GET", "/audit", nil).want(200)
	for _, k := range []string{sessions, both} {
		w.do(k, "DELETE", "/sessions/"+ses.ID, nil).problem(404, "path.id")
		w.do(k, "DELETE", "/sessions?all=true", nil).problem(403, "")
	}
	mine := token(w.ana, "sessions")
	if got := as[session](w.do(mine, "GET", "/sessions/"+ses.ID, nil), 200); got.State != "active" {
		t.Errorf("got %+v", got)
	}
	w.do(mine, "DELETE", "/sessions/"+ses.ID, nil).want(200)
}

func TestAuditList(t *testing.T) {
	w := newWorld(t)
	ssh := w.addService("ssh", "192.168.7.10:22")
	w.addGrant(w.ana, ssh, nil)
	ses := as[session](w.do(w.ana, "POST", "/sessions", m{"service": ssh.ID}), 201)
	got := as[list[auditLine]](w.do(w.admin, "GET", "/audit?action=session&actor="+w.id(w.ana)+"&subject="+ses.ID+"&site="+w.site.ID, nil), 200)
	if len(got.Items) != 1 {
		t.Fatalf("got %+v", got)
	}
	if l := got.Items[0]; l.ActorName != "ana" || l.By != "token" || l.Client != "198.51.100.7" || l.Action != "session.open" || l.SiteName != "home" || !strings.Contains(l.Detail, "192.168.7.10:22") {
		t.Errorf("got %+v", l)
	}
	page := as[list[auditLine]](w.do(w.admin, "GET", "/audit?limit=1", nil), 200)
	w.addService("more", "192.168.7.11:22")
	next := as[list[auditLine]](w.do(w.admin, "GET", "/audit?limit=1&cursor="+page.Next, nil), 200)
	if page.Items[0].Action != "session.open" || next.Items[0].Action != "grant.add" {
		t.Errorf("pages %+v, %+v", page, next)
	}
	w.do(w.ana, "GET", "/audit", nil).problem(403, "")
}

// A page of history ends where the next begins, whatever is opened meanwhile.
func TestHistory(t *testing.T) {
	w := newWorld(t)
	grantee := w.ana
	for i := range 5 {
		s := w.addService(fmt.Sprintf("s%d", i), "192.168.7.10:22")
		w.addGrant(grantee, s, nil)
		as[session](w.do(w.ana, "POST", "/sessions", m{"service": s.ID}), 201)
	}
	var names []string
	path := "/sessions?limit=2&source=198.51.100.7&state=active&from=2026-01-01T00:00:00Z"
	for i := 0; ; i++ {
		page := as[list[session]](w.do(w.ana, "GET", path, nil), 200)
		for _, s := range page.Items {
			names = append(names, s.ServiceName)
		}
		if page.Next == "" {
			break
		}
		s := w.addService(fmt.Sprintf("late%d", i), "192.168.7.10:22")
		w.addGrant(grantee, s, nil)
		w.do(w.ana, "POST", "/sessions", m{"service": s.ID}).want(201)
		path = "/sessions?limit=2&source=198.51.100.7&state=active&from=2026-01-01T00:00:00Z&cursor=" + page.Next
	}
	if got := strings.Join(names, " "); got != "s4 s3 s2 s1 s0" {
		t.Errorf("got %s", got)
	}
	for query, want := range map[string]int{
		"source=198.51.100.7/32": 7, "source=203.0.113.1": 0, "source=2001:db8::1": 0, "reason=closed": 0, "state=opening": 0,
		"until=2026-01-01T00:00:00Z": 0, "device=" + sample: 0, "site=" + w.site.ID: 7,
	} {
		if n := w.count(w.ana, "/sessions?"+query); n != want {
			t.Errorf("%s: %d", query, n)
		}
	}
	for _, source := range []string{"here", "198.51.100.0/24", "2001:db8::/32"} {
		w.do(w.ana, "GET", "/sessions?source="+source, nil).problem(422, "query.source")
	}
}

// What goes through a session shows in events and lists.
func TestCounters(t *testing.T) {
	w := newWorld(t)
	ssh := w.addService("ssh", "192.168.7.10:22")
	w.addGrant(w.ana, ssh, nil)
	ses := as[session](w.do(w.ana, "POST", "/sessions", m{"service": ssh.ID}), 201)
	f := w.follow("", "Authorization", "Bearer "+w.ana)
	id, err := ownline.ParseID[ownline.Session](ses.ID)
	if err != nil {
		t.Fatal(err)
	}
	site, err := ownline.ParseID[ownline.Site](w.site.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.access.Traffic(t.Context(), site, []link.Traffic{{ID: id, Traffic: ownline.Traffic{UpBytes: 1000, UpPackets: 10, DownBytes: 2000, DownPackets: 20}}}); err != nil {
		t.Fatal(err)
	}
	if ev := f.next(); ev.kind != "session" || !strings.Contains(ev.data, `"down_bytes":2000`) {
		t.Errorf("event %+v", ev)
	}
	if got := as[list[session]](w.do(w.ana, "GET", "/sessions", nil), 200).Items[0].Traffic; got.UpBytes != 1000 || got.DownPackets != 20 {
		t.Errorf("list: %+v", got)
	}
}

// An admin sees what core has yet to apply.
func TestPending(t *testing.T) {
	w := newWorld(t)
	ssh := w.addService("ssh", "192.168.7.10:22")
	w.addGrant(w.ana, ssh, nil)
	type pending struct {
		Known    bool
		Total    int
		Sessions []struct {
			Session session
			Wanted  string
		}
	}
	get := func() pending { return as[pending](w.do(w.admin, "GET", "/sites/"+w.site.ID+"/pending", nil), 200) }
	if p := get(); p.Known {
		t.Errorf("known although core has said nothing: %+v", p)
	}
	w.cores.setApplied(1)
	ses := as[session](w.do(w.ana, "POST", "/sessions", m{"service": ssh.ID}), 201)
	if p := get(); !p.Known || p.Total != 1 || p.Sessions[0].Session.ID != ses.ID || p.Sessions[0].Wanted != "open" {
		t.Errorf("got %+v", p)
	}
	w.do(w.ana, "DELETE", "/sessions/"+ses.ID, nil).want(200)
	if p := get(); p.Total != 1 || p.Sessions[0].Wanted != "closed" {
		t.Errorf("got %+v", p)
	}
	w.cores.setApplied(1000)
	if p := get(); !p.Known || p.Total != 0 {
		t.Errorf("got %+v", p)
	}
	w.do(w.ana, "GET", "/sites/"+w.site.ID+"/pending", nil).problem(403, "")
	w.do(w.admin, "GET", "/sites/"+sample+"/pending", nil).problem(404, "path.id")
}
