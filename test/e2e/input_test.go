package e2e

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

// Invariant 10: bad input is refused whole, naming the field, and changes nothing.
func TestBadInput(t *testing.T) {
	s := start(t, world.Options{})
	lan := netip.AddrPortFrom(s.Bed.Lan.IPv4, bed.EchoPort).String()
	v4only := s.create("/services", world.Map{"site": s.Site, "name": "v4only", "kind": "forward", "transport": "tcp", "target": lan})
	client := s.Bed.Client1.IPv4.String()
	session := func(more world.Map) world.Map {
		in := world.Map{"service": s.echo, "source": client, "for": "1m"}
		for k, v := range more {
			in[k] = v
		}
		return in
	}
	service := func(more world.Map) world.Map {
		in := world.Map{"site": s.Site, "name": "new", "kind": "forward", "transport": "tcp", "target": lan}
		for k, v := range more {
			in[k] = v
		}
		return in
	}
	var me struct{ ID string }
	s.call("GET", "/me", nil, &me)
	none := "01a00000-0000-7000-8000-000000000000"
	before := s.snapshot()
	for name, tc := range map[string]struct {
		path   string
		in     world.Map
		status []int
		names  string // what the error has to say
	}{
		"port 0 of the router's own":     {"/sessions", session(world.Map{"public_port": 57329}), []int{409, 422}, "public_port"},
		"port out of range":              {"/sessions", session(world.Map{"public_port": 70000}), []int{422}, "public_port"},
		"negative port":                  {"/sessions", session(world.Map{"public_port": -1}), []int{422}, "public_port"},
		"port not of the site's range":   {"/sessions", session(world.Map{"public_port": 80}), []int{409, 422}, "public_port"},
		"private source":                 {"/sessions", session(world.Map{"source": "10.0.0.1"}), []int{422}, "source"},
		"loopback source":                {"/sessions", session(world.Map{"source": "127.0.0.1"}), []int{422}, "source"},
		"carrier NAT source":             {"/sessions", session(world.Map{"source": "100.64.0.1"}), []int{422}, "source"},
		"multicast source":               {"/sessions", session(world.Map{"source": "224.0.0.1"}), []int{422}, "source"},
		"unspecified source":             {"/sessions", session(world.Map{"source": "::"}), []int{422}, "source"},
		"the router's own address":       {"/sessions", session(world.Map{"source": s.Bed.Router.IPv4.String()}), []int{422}, "source"},
		"no address at all":              {"/sessions", session(world.Map{"source": "client"}), []int{422}, "source"},
		"IPv6 for an IPv4-only forward":  {"/sessions", session(world.Map{"service": v4only, "source": s.Bed.Client1.IPv6.String()}), []int{422}, "IPv6"},
		"unknown service":                {"/sessions", session(world.Map{"service": none}), []int{404, 422}, "service"},
		"too long":                       {"/sessions", session(world.Map{"for": "9999h"}), []int{403, 422}, "for"},
		"negative duration":              {"/sessions", session(world.Map{"for": "-1m"}), []int{422}, "for"},
		"unknown key":                    {"/sessions", session(world.Map{"colour": "red"}), []int{400, 422}, "colour"},
		"target outside the LAN":         {"/services", service(world.Map{"target": "192.168.99.1:80"}), []int{422}, "target"},
		"target loopback":                {"/services", service(world.Map{"target": "127.0.0.1:80"}), []int{422}, "target"},
		"target port 0":                  {"/services", service(world.Map{"target": s.Bed.Lan.IPv4.String() + ":0"}), []int{422}, "target"},
		"target of the other family":     {"/services", service(world.Map{"target6": lan}), []int{422}, "target6"},
		"no target":                      {"/services", world.Map{"site": s.Site, "name": "new", "kind": "forward", "transport": "tcp"}, []int{422}, "target"},
		"service name with a slash":      {"/services", service(world.Map{"name": "a/b"}), []int{422}, "name"},
		"service name taken":             {"/services", service(world.Map{"name": "echo"}), []int{409}, "name"},
		"unknown site":                   {"/services", service(world.Map{"site": none}), []int{404, 422}, "site"},
		"unknown transport":              {"/services", service(world.Map{"transport": "sctp"}), []int{422}, "transport"},
		"grant of an unknown user":       {"/grants", world.Map{"user": none, "service": s.echo}, []int{404, 422}, "user"},
		"grant of an unknown service":    {"/grants", world.Map{"user": me.ID, "service": none}, []int{404, 422}, "service"},
		"grant of the router's own port": {"/grants", world.Map{"user": me.ID, "service": s.echo, "public_port": 57329}, []int{409, 422}, "public_port"},
		"weak password":                  {"/users", world.Map{"name": "bob", "password": "short", "role": "user"}, []int{422}, "password"},
		"bad user name":                  {"/users", world.Map{"name": "bob smith;rm -rf", "password": "long enough a password", "role": "user"}, []int{422}, "name"},
		"device at an unknown site":      {"/devices", world.Map{"site": none, "name": "phone"}, []int{404, 422}, "site"},
	} {
		t.Run(name, func(t *testing.T) {
			err := s.API.Call(t.Context(), "POST", tc.path, tc.in, nil)
			var p *world.Problem
			if !errors.As(err, &p) {
				t.Fatalf("got %v, want a refusal", err)
			}
			if !slices.Contains(tc.status, p.Status) || !strings.Contains(p.Error(), tc.names) {
				t.Errorf("refused with %v; want one of %v that speaks of %q", p, tc.status, tc.names)
			}
		})
	}
	if after := s.snapshot(); after != before {
		t.Errorf("refusals changed something: from\n%s\nto\n%s", before, after)
	}
}

// snapshot is everything that can be listed, as text.
func (s *suite) snapshot() string {
	s.t.Helper()
	var b strings.Builder
	for _, path := range []string{"/users", "/services", "/grants", "/devices", "/sessions?state=live&all=true"} {
		var l world.List[any]
		s.call("GET", path, nil, &l)
		for _, i := range l.Items {
			for k, v := range i.(map[string]any) {
				if k == "id" || k == "name" {
					b.WriteString(path + " " + k + "=" + v.(string) + "\n")
				}
			}
		}
	}
	lines := strings.Split(b.String(), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// A pairing code is good once, for whoever comes first.
func TestPairingCodeOnce(t *testing.T) {
	s := start(t, world.Options{})
	code, err := s.PairingCode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pair := func(web, code string) error {
		_, err := s.OtherWeb(t.Context(), web, "site", "add", code, "--name", "home", "--host", s.Bed.Router.IPv4.String())
		return err
	}
	for name, c := range map[string]string{"another token": strings.Replace(code, "token=", "token=x", 1), "half of it": code[:len(code)/2], "no code": "hello"} {
		if err := pair("second", c); err == nil || !strings.Contains(err.Error(), "code") {
			t.Errorf("%s: %v, want an error that names the code", name, err)
		}
	}
	if st := s.status(); !st.Connected {
		t.Error("refused pairings have cut off the web that is paired")
	}
	if err := pair("second", code); err != nil {
		t.Fatalf("the code, for the first time: %v", err)
	}
	if err := pair("third", code); err == nil || !strings.Contains(err.Error(), "used already") {
		t.Errorf("the code again: %v, want an error that says so", err)
	}
	eventually(t, 20*time.Second, "the web that was paired before is cut off", func() bool { return !s.status().Connected })
}

// Settings are read strictly: nothing starts on a mistake, and the error shows the place.
func TestBadSettings(t *testing.T) {
	s := start(t, world.Options{})
	for name, yaml := range map[string]string{"link: {lissten: x}": "lissten", "knock: {max_clock_skew: soon}": "max_clock_skew", "firewall: {reserved_ports: [70000]}": "reserved_ports"} {
		_, err := s.CheckCoreSettings(t.Context(), name)
		if err == nil || !strings.Contains(err.Error(), yaml) || !strings.Contains(err.Error(), ":1:") {
			t.Errorf("%s: %v, want an error with the key and its line and column", name, err)
		}
	}
}

// A user without rights gets nothing that is not granted, and ends nothing of others.
func TestUserSeesOwnOnly(t *testing.T) {
	s := start(t, world.Options{})
	bob := s.create("/users", world.Map{"name": "bob", "password": "another long password", "role": "user"})
	x := s.open(s.echo, s.Bed.Client1.IPv4, time.Minute, 21100)
	api := world.NewAPI(s.Bed.Lan, s.WebAddr())
	if err := api.Login(t.Context(), "bob", "another long password"); err != nil {
		t.Fatal(err)
	}
	if err := api.Call(t.Context(), "PUT", "/me/password", world.Map{"current": "another long password", "password": "bob's own password"}, nil); err != nil {
		t.Fatal(err)
	}
	refused := func(method, path string, in any, status ...int) {
		t.Helper()
		var p *world.Problem
		if err := api.Call(t.Context(), method, path, in, nil); !errors.As(err, &p) || !slices.Contains(status, p.Status) {
			t.Errorf("%s %s by bob: %v, want one of %v", method, path, err, status)
		}
	}
	refused("POST", "/sessions", world.Map{"service": s.echo}, 404, 422) // as if there were no such service
	refused("DELETE", "/sessions/"+x.ID, nil, 404)
	refused("GET", "/sessions/"+x.ID, nil, 404)
	refused("GET", "/services/"+s.echo, nil, 404)
	refused("POST", "/users", world.Map{"name": "eve", "password": "long enough a password", "role": "admin"}, 403)
	refused("PATCH", "/users/"+bob, world.Map{"role": "admin"}, 403)
	refused("POST", "/grants", world.Map{"user": bob, "service": s.echo}, 403)
	refused("DELETE", "/sessions?all=true", nil, 403)
	wantState(t, s.Bed.Client1, s.public(false, 21100), true)
	var l world.List[world.Session]
	if err := api.Call(t.Context(), "GET", "/sessions?state=live", nil, &l); err != nil || len(l.Items) != 0 {
		t.Errorf("bob sees sessions %+v, %v", l.Items, err)
	}
}
