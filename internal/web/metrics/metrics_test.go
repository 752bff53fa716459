package metrics

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	b, err := io.ReadAll(w.Body)
	if err != nil || w.Code != 200 {
		t.Fatal(w.Code, err)
	}
	return string(b)
}

func full() *Metrics {
	m := New("1.2.3")
	m.Request("GET /x/{id}", 200, 20*time.Millisecond, false)
	m.Request("GET /events", 200, time.Hour, true)
	m.Opened("knock")
	m.Ended("expired")
	m.Knocked("opened")
	m.Refused("home", "policy_grant", 3)
	m.KnockedByBroker("noise")
	m.LoggedIn("password", "failed")
	m.Notified("telegram", true)
	m.Notified("telegram", false)
	m.Transaction("write", time.Millisecond)
	m.Watch(func(context.Context) (State, error) {
		return State{
			Brokers: []Broker{
				{Name: "outer", Up: true, Connections: 2, Taken: 3, Dropped: 1},
				{Name: "embedded", Connections: 5, Refused: map[string]uint64{"login": 7}, Clients: 4, TLS: true, Expires: time.Unix(1700000000, 0)},
			},
			Sessions: []Sessions{{"home", "active", 3}}, Links: []Link{{Site: "home", Up: true, Wanted: 9, Applied: 8}, {Site: "office"}},
			DatabaseBytes: 4096, DatabaseTook: time.Millisecond,
		}, nil
	}, slog.New(slog.DiscardHandler))
	return m
}

func TestMetrics(t *testing.T) {
	got := scrape(t, full())
	for _, want := range []string{
		`ownline_web_http_requests_total{operation="GET /x/{id}",status="200"} 1`,
		`ownline_web_http_request_duration_seconds_bucket{operation="GET /x/{id}",le="0.025"} 1`,
		`ownline_web_http_request_duration_seconds_bucket{operation="GET /x/{id}",le="0.01"} 0`,
		`ownline_web_http_requests_total{operation="GET /events",status="200"} 1`,
		`ownline_web_sessions_opened_total{by="knock"} 1`,
		`ownline_web_sessions_ended_total{reason="expired"} 1`,
		`ownline_web_knocks_total{verdict="opened"} 1`,
		`ownline_web_logins_total{method="password",result="failed"} 1`,
		`ownline_web_notifications_total{channel="telegram",result="sent"} 1`,
		`ownline_web_notifications_total{channel="telegram",result="failed"} 1`,
		`ownline_web_database_transaction_duration_seconds_count{kind="write"} 1`,
		`ownline_web_sessions{site="home",state="active"} 3`,
		`ownline_web_link_up{site="home"} 1`, `ownline_web_link_up{site="office"} 0`,
		`ownline_web_revision_wanted{site="home"} 9`, `ownline_web_revision_applied{site="home"} 8`,
		`ownline_web_database_up 1`, `ownline_web_database_size_bytes 4096`, `ownline_web_database_response_seconds 0.001`,
		`ownline_web_broker_up{broker="outer"} 1`,
		`ownline_web_broker_up{broker="embedded"} 0`,
		`ownline_web_broker_connections_total{broker="outer"} 2`,
		`ownline_web_broker_messages_total{broker="outer",result="taken"} 3`,
		`ownline_web_broker_messages_total{broker="outer",result="dropped"} 1`,
		`ownline_web_broker_refused_total{reason="login"} 7`,
		`ownline_web_broker_clients 4`, `ownline_web_broker_certificate_expires_timestamp_seconds 1.7e+09`,
		`ownline_web_broker_knocks_total{result="noise"} 1`,
		`ownline_web_build_info{version="1.2.3"} 1`, `go_goroutines `, `process_open_fds `,
	} {
		if !strings.Contains(got, "\n"+want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if strings.Contains(got, `duration_seconds_count{operation="GET /events"`) {
		t.Error("how long a stream lasted counts as how long an answer took")
	}
}

// A database that does not answer is told, and does not keep the rest from being told.
func TestDatabaseDown(t *testing.T) {
	m := New("")
	m.Watch(func(context.Context) (State, error) {
		return State{Brokers: []Broker{{Name: "outer"}}}, errors.New("down")
	}, slog.New(slog.DiscardHandler))
	got := scrape(t, m)
	if !strings.Contains(got, "\nownline_web_database_up 0") || !strings.Contains(got, "\ngo_goroutines ") || strings.Contains(got, "response_seconds") || !strings.Contains(got, "\nownline_web_broker_up{broker=\"outer\"} 0") {
		t.Errorf("got\n%s", got)
	}
}

// The reference names every metric with its labels, and no other.
func TestReference(t *testing.T) {
	b, err := os.ReadFile("../../../docs/reference/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(ownline_web_[a-z_]+)` \\|([^|]*)\\|").FindAllStringSubmatch(string(b), -1) {
		var labels []string
		for _, l := range regexp.MustCompile("`([a-z]+)`").FindAllStringSubmatch(m[2], -1) {
			labels = append(labels, l[1])
		}
		slices.Sort(labels)
		documented[m[1]] = strings.Join(labels, " ")
	}
	families, err := full().registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		name := f.GetName()
		if !strings.HasPrefix(name, namespace) {
			continue
		}
		var labels []string
		for _, l := range f.Metric[0].Label {
			labels = append(labels, l.GetName())
		}
		slices.Sort(labels)
		if got, ok := documented[name]; !ok || got != strings.Join(labels, " ") {
			t.Errorf("%s has the labels %q, and in the reference %q", name, labels, got)
		}
		delete(documented, name)
	}
	for name := range documented {
		t.Errorf("the reference names %s, which is not there", name)
	}
}
