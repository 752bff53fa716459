package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/web/geoip/geoiptest"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

// listed is a world in which the clients are in two countries, at two providers; whose devices of both
// kinds, and whose login, are ana's, who is no admin.
type listed struct {
	*fwknopLab
	admin   *laptop
	phone   *world.Device
	program *fwknopClient
	grants  string // ana's
	token   string // of ana's login
	port    uint16
}

func startListed(t *testing.T) *listed {
	t.Helper()
	const port, password = 20443, "a good long password"
	countries := geoiptest.Countries(t, map[string]string{"198.51.100.0/25": "ES", "2001:db8:1::/48": "ES", "198.51.100.128/25": "PT", "2001:db8:2::/48": "PT"})
	systems := geoiptest.Systems(t, map[string]geoiptest.AS{"198.51.100.0/25": {Number: 64500, Name: "Uno"}, "198.51.100.128/25": {Number: 64501, Name: "Dois"}})
	lab := startFwknop(t, fmt.Sprintf("policy: {geoip_database: %q, asn_database: %q}\nmetrics: {listen: \"192.168.7.10:9464\"}\ntrusted_proxies: [192.168.7.1]\n", countries, systems))
	l := &listed{fwknopLab: lab, admin: &laptop{lab.suite, filepath.Join(t.TempDir(), "cli")}, port: port}
	if _, err := l.WebCommand(t.Context(), password+"\n", "user", "add", "--permanent", "ana"); err != nil {
		t.Fatal(err)
	}
	var users world.List[struct{ ID, Name string }]
	l.call("GET", "/users", nil, &users)
	ana := ""
	for _, u := range users.Items {
		if u.Name == "ana" {
			ana = u.ID
		}
	}
	l.grants = l.create("/grants", world.Map{"user": ana, "service": l.echo, "automatic": true, "public_port": port})
	var err error
	if l.phone, err = l.NewDevice(t.Context(), "phone", world.Map{"user": ana}); err != nil {
		t.Fatal(err)
	}
	l.program = l.enrol("sha256", world.Map{"user": ana})
	l.admin.must(l.Bed.Lan, world.AdminPassword, programs.CLI, "login", "http://"+l.WebAddr().String(), "--name", world.AdminName, "--plain")
	status, _, text := l.ask("POST", "/auth/token", l.Bed.Client1, world.Map{"name": "ana", "password": password, "label": "phone"})
	var got struct{ Token string }
	if err := json.Unmarshal([]byte(text), &got); err != nil || got.Token == "" {
		t.Fatalf("ana signs in: %d %s", status, text)
	}
	l.token = got.Token
	return l
}

// ask sends what ana asks of the API from a host of the internet: through the router's reverse proxy, as
// far as web can tell.
func (l *listed) ask(method, path string, from *bed.Host, in world.Map) (status int, kind, text string) {
	l.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		l.t.Fatal(err)
	}
	router := &http.Client{Timeout: patience, Transport: &http.Transport{DialContext: l.Bed.Router.DialContext, DisableKeepAlives: true}}
	head := []string{"X-Forwarded-For", from.IPv4.String()}
	if l.token != "" {
		head = append(head, "Authorization", "Bearer "+l.token)
	}
	return ask(router, method, "http://"+l.WebAddr().String()+"/api/v1"+path, string(body), head...)
}

// refused counts by reason, as the command line shows it, and by device.
func (l *listed) refused() (byReason, byDevice map[string]uint64) {
	l.t.Helper()
	out := l.admin.must(l.Bed.Lan, "", programs.CLI, "admin", "refusals", "--site", "home", "--json")
	var all []apiclient.Refusal
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		l.t.Fatalf("%v: %s", err, out)
	}
	byReason, byDevice = map[string]uint64{}, map[string]uint64{}
	for _, r := range all {
		byReason[r.Reason] += r.Number
		byDevice[r.Reason+" "+r.DeviceName] += r.Number
	}
	return byReason, byDevice
}

// metric is how often knocks were refused for a reason, as Prometheus is told.
func (l *listed) metric(reason string) uint64 {
	l.t.Helper()
	_, _, text := ask(l.Bed.Lan.HTTPClient(patience), "GET", "http://192.168.7.10:9464/metrics", "")
	for line := range strings.Lines(text) {
		n, ok := strings.CutPrefix(strings.TrimSpace(line), fmt.Sprintf("ownline_web_knocks_refused_total{reason=%q,site=\"home\"} ", reason))
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(n, 64)
		if err != nil {
			l.t.Fatal(err)
		}
		return uint64(v)
	}
	return 0
}

// Invariants 3 and 6: what a list of countries, providers or networks does not let in opens nothing, be it
// a knock, a packet of Debian's fwknop or a login's wish, and is counted everywhere by the list's name; what
// it lets in opens.
func TestAllowLists(t *testing.T) {
	l := startListed(t)
	client, other := l.Bed.Client1, l.Bed.Client2
	door := l.public(false, l.port)
	set := func(words []string, paths ...string) {
		t.Helper()
		for _, p := range paths {
			l.call("PATCH", p, world.Map{"allowed_from": words}, nil)
		}
	}
	knocks := func(h *bed.Host, v6 bool, want knock.Status) {
		t.Helper()
		if a := l.knock(l.phone, h, v6); a.Status != want || (a.Sessions > 0) != (want == knock.Opened) {
			t.Errorf("%s knocks, and is told %+v, want %s", h.Name, a, want)
		}
	}
	packet := func() { l.run(l.program, "-A", "tcp/20443", "-s") }

	// Both are let in from both places while there is no list.
	knocks(client, false, knock.Opened)
	wantState(t, client, door, true)
	l.flush()
	knocks(other, false, knock.Opened)
	l.flush()
	sent := time.Now()
	packet()
	l.waitFor("a packet", sent, 30*time.Minute, []string{l.echo})
	l.flush()

	phone, program := "/devices/"+l.phone.ID, "/devices/"+l.program.ID
	for name, list := range map[string]struct {
		paths         []string
		there, here   []string
		login, family bool // it binds logins; it holds over IPv6
	}{
		"site":   {[]string{"/sites/" + l.Site}, []string{"PT"}, []string{"ES"}, true, true},
		"grant":  {[]string{"/grants/" + l.grants}, []string{"AS64501"}, []string{"AS64500"}, true, false},
		"device": {[]string{phone, program}, []string{"198.51.100.128/25"}, []string{"198.51.100.0/25"}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			reason := "policy_" + name
			before, _ := l.refused()
			dropped := l.status().Knocks.Dropped["policy"]

			// The client is outside.
			set(list.there, list.paths...)
			knocks(client, false, knock.Refused)
			l.counted("a packet from elsewhere", "policy", packet)
			opens := map[string]any{"service": l.echo, "public_port": l.port}
			status, _, text := l.ask("POST", "/sessions", client, opens)
			if list.login && (status != http.StatusForbidden || !strings.Contains(text, "source")) || !list.login && status != http.StatusCreated {
				t.Errorf("a login from elsewhere opens: %d %s", status, text)
			}
			wantState(t, client, door, !list.login)
			l.flush()
			if live := l.sessions(); len(live) != 0 {
				t.Errorf("sessions: %+v", live)
			}
			if list.family {
				knocks(client, true, knock.Refused)
				knocks(other, true, knock.Opened)
				l.flush()
			}

			// It is counted by core, by web, and for Prometheus, by the list's name and the device's.
			if n := l.status().Knocks.Dropped["policy"]; n < dropped+2 {
				t.Errorf("core has dropped %d by policy, and %d before", n, dropped)
			}
			after, devices := l.refused()
			if after[reason] < before[reason]+2 || devices[reason+" phone"] == 0 || devices[reason+" fwknop sha256 1"] == 0 {
				t.Errorf("refused: %v, by device: %v; before: %v", after, devices, before)
			}
			for other, n := range after {
				if strings.HasPrefix(other, "policy_") && other != reason && n != before[other] {
					t.Errorf("%s counts %d for what %s refused", other, n, reason)
				}
			}
			eventually(t, patience, "the metrics agree", func() bool {
				n, _ := l.refused()
				return n[reason] > 0 && l.metric(reason) == n[reason]
			})

			// Inside it opens, for this address alone; who is elsewhere now stays out.
			set(list.here, list.paths...)
			knocks(client, false, knock.Opened)
			wantState(t, client, door, true)
			wantState(t, other, door, false)
			knocks(other, false, knock.Refused)
			wantState(t, other, door, false)
			l.flush()
			sent := time.Now()
			packet()
			l.waitFor("a packet from inside", sent, 30*time.Minute, []string{l.echo})
			wantState(t, client, door, true)

			// A list that leaves it out ends what is open.
			set(list.there, list.paths...)
			eventually(t, patience, "what was opened from elsewhere ends", func() bool { return len(l.sessions()) == 0 })
			wantState(t, client, door, false)

			set(list.here, list.paths...)
			if status, _, text := l.ask("POST", "/sessions", client, opens); status != http.StatusCreated {
				t.Errorf("a login from inside: %d %s", status, text)
			}
			wantState(t, client, door, true)
			l.flush()
			set([]string{}, list.paths...)
		})
	}
}
