package api

import "testing"

type reachedAnswer struct {
	Answered bool
	TookMS   float64 `json:"took_ms"`
	Failure  string
}

// The core is asked for targets that a service of the site may have, and for no others.
func TestReachTarget(t *testing.T) {
	w := newWorld(t)
	path := "/sites/" + w.site.ID + "/reach"
	got := as[reachedAnswer](w.do(w.admin, "POST", path, m{"target": "192.168.7.10:80"}), 200)
	if !got.Answered || got.TookMS != 1.5 || got.Failure != "" {
		t.Errorf("what listens: %+v", got)
	}
	got = as[reachedAnswer](w.do(w.admin, "POST", path, m{"target": "[fd00:7::10]:8080"}), 200)
	if got.Answered || got.Failure != "refused" {
		t.Errorf("what refuses: %+v", got)
	}
	for _, target := range []string{"", "nas:80", "192.168.7.10", "192.168.7.10:0", "127.0.0.1:22", "203.0.113.9:80"} {
		w.do(w.admin, "POST", path, m{"target": target}).problem(422, "body.target")
	}
	w.do(w.ana, "POST", path, m{"target": "192.168.7.10:80"}).problem(403, "")
}

// An admin is told what the router's kernel does not take.
func TestSiteLacks(t *testing.T) {
	w := newWorld(t)
	for _, s := range as[list[site]](w.do(w.admin, "GET", "/sites", nil), 200).Items {
		if s.FirewallLacks != "no filter: the kernel refuses the table" || s.Firewall != "" {
			t.Errorf("%s lacks %q, and its firewall %q", s.Name, s.FirewallLacks, s.Firewall)
		}
	}
}

func TestPairAgain(t *testing.T) {
	w := newWorld(t)
	s := scene{world: w}
	id := s.ownSite()
	first := as[site](w.do(w.admin, "GET", "/sites/"+id, nil), 200)
	code := s.newSite()["code"]
	again := as[site](w.do(w.admin, "POST", "/sites/"+id+"/pair", m{"code": code}), 200)
	if again.Name != first.Name || again.Pin == first.Pin {
		t.Errorf("it was %+v and is %+v", first, again)
	}
	other := s.ownSite()
	w.do(w.admin, "POST", "/sites/"+other+"/pair", m{"code": code}).problem(409, "body.code")
	w.do(w.admin, "POST", "/sites/"+other+"/pair", m{"code": "nonsense"}).problem(422, "body.code")
}

func TestFlushSite(t *testing.T) {
	w := newWorld(t)
	ssh := w.addService("ssh", "192.168.7.10:22")
	w.addGrant(w.ana, ssh, nil)
	w.do(w.ana, "POST", "/sessions", m{"service": ssh.ID}).want(201)
	type flushed struct{ Ended int }
	elsewhere := (scene{world: w}).ownSite()
	if got := as[flushed](w.do(w.admin, "DELETE", "/sessions?all=true&site="+elsewhere, nil), 200); got.Ended != 0 {
		t.Errorf("at another site %d were ended", got.Ended)
	}
	if got := as[flushed](w.do(w.admin, "DELETE", "/sessions?all=true&site="+ssh.Site, nil), 200); got.Ended != 1 {
		t.Errorf("at the site %d were ended", got.Ended)
	}
	w.do(w.admin, "DELETE", "/sessions?all=true&site=x", nil).problem(422, "query.site")
}
