// Package metrics counts what the web server does, and shows it to Prometheus. No other
// room knows Prometheus: those that count declare a meter of their own, which Metrics is.
//
// Labels are few and their values are ours: never a user, an address or anything that a
// client wrote.
package metrics

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the counters of one server. Safe for concurrent use.
type Metrics struct {
	registry      *prometheus.Registry
	requests      *prometheus.CounterVec
	durations     *prometheus.HistogramVec
	opened        *prometheus.CounterVec
	ended         *prometheus.CounterVec
	knocks        *prometheus.CounterVec
	refusals      *prometheus.CounterVec
	messages      *prometheus.CounterVec // to the topic of knocks
	logins        *prometheus.CounterVec
	notifications *prometheus.CounterVec
	transactions  *prometheus.HistogramVec
}

const namespace = "ownline_web"

// New makes counters that stand at zero.
func New(version string) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	}
	histogram := func(name, help, label string, buckets []float64) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, []string{label})
	}
	m := &Metrics{
		registry:  prometheus.NewRegistry(),
		requests:  counter("http_requests_total", "Requests that were answered, by operation and status.", "operation", "status"),
		durations: histogram("http_request_duration_seconds", "How long requests took, but for streams of events.", "operation", []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}),
		opened:    counter("sessions_opened_total", "Sessions that were opened, by what opened them.", "by"),
		ended:     counter("sessions_ended_total", "Sessions that ended, by reason.", "reason"),
		knocks:    counter("knocks_total", "Knocks that a core passed on, by verdict.", "verdict"),
		refusals:  counter("knocks_refused_total", "Knocks that were refused, by site and reason.", "site", "reason"),
		messages:  counter("broker_knocks_total", "Messages to the topic of knocks, by what became of them.", "result"),
		logins:    counter("logins_total", "Attempts to sign in, by method and result.", "method", "result"),
		notifications: counter("notifications_total",
			"Messages to people, by channel and result.", "channel", "result"),
		transactions: histogram("database_transaction_duration_seconds", "How long transactions took, waiting included, by kind: read or write.", "kind",
			[]float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "1; the label says which version runs.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.registry.MustRegister(m.requests, m.durations, m.opened, m.ended, m.knocks, m.refusals, m.messages, m.logins, m.notifications, m.transactions, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Request counts a request; how long a stream took says nothing.
func (m *Metrics) Request(operation string, status int, took time.Duration, stream bool) {
	m.requests.WithLabelValues(operation, strconv.Itoa(status)).Inc()
	if !stream {
		m.durations.WithLabelValues(operation).Observe(took.Seconds())
	}
}

// Opened counts a session, by what opened it: as access.Actor has it.
func (m *Metrics) Opened(by string) { m.opened.WithLabelValues(by).Inc() }

// Ended counts the end of a session.
func (m *Metrics) Ended(reason string) { m.ended.WithLabelValues(reason).Inc() }

// KnockedByBroker counts a message that came through a broker.
func (m *Metrics) KnockedByBroker(result string) { m.messages.WithLabelValues(result).Inc() }

// Knocked counts a knock.
func (m *Metrics) Knocked(verdict string) { m.knocks.WithLabelValues(verdict).Inc() }

// Refused counts knocks that were refused; site is empty where nobody knows it.
func (m *Metrics) Refused(site, reason string, n uint64) {
	m.refusals.WithLabelValues(site, reason).Add(float64(n))
}

// LoggedIn counts an attempt to sign in.
func (m *Metrics) LoggedIn(method, result string) { m.logins.WithLabelValues(method, result).Inc() }

// Notified counts a message to people: a channel is named after its kind, like "telegram".
func (m *Metrics) Notified(channel string, ok bool) {
	result := "sent"
	if !ok {
		result = "failed"
	}
	m.notifications.WithLabelValues(channel, result).Inc()
}

// Transaction measures a transaction: its kind is read or write.
func (m *Metrics) Transaction(kind string, took time.Duration) {
	m.transactions.WithLabelValues(kind).Observe(took.Seconds())
}

// State is how things stand when somebody looks.
type State struct {
	Sessions      []Sessions
	Links         []Link
	DatabaseBytes int64
	DatabaseTook  time.Duration // to answer a small question
	Brokers       []Broker      // that are configured
}

// Broker is how an MQTT broker does.
type Broker struct {
	Name                        string // "outer" or "embedded"
	Up                          bool
	Connections, Taken, Dropped uint64            // since the start
	Refused                     map[string]uint64 // by the embedded one, by reason
	Clients                     int               // of the embedded one
	TLS                         bool              // of the embedded one: it has a certificate, or is to have one
	Expires                     time.Time         // of that; zero: there is none
}

// Sessions are how many there are in one state at one site.
type Sessions struct {
	Site, State string
	Number      int
}

// Link is how one site's core is reached.
type Link struct {
	Site            string
	Up              bool
	Wanted, Applied uint64 // revisions
}

// Watch has look called at every scrape; after an error only Brokers are told of what it returns. Call it once, before Handler.
func (m *Metrics) Watch(look func(context.Context) (State, error), log *slog.Logger) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
	}
	m.registry.MustRegister(&state{
		look: look, log: log,
		sessions: desc("sessions", "Live sessions, by site and state.", "site", "state"),
		link:     desc("link_up", "1 while a site's core is commanded, else 0.", "site"),
		wanted:   desc("revision_wanted", "The newest revision of what a site's core should hold.", "site"),
		applied:  desc("revision_applied", "The revision up to which a site's core has applied everything.", "site"),
		up:       desc("database_up", "1 while the database answers, else 0."),
		took:     desc("database_response_seconds", "How long the database took to answer a small question."),
		size:     desc("database_size_bytes", "How large the database is."),
		broker:   desc("broker_up", "1 while the MQTT broker (outer) is connected, or the one inside web (embedded) serves, else 0; absent without one.", "broker"),
		joins:    desc("broker_connections_total", "How often the outer broker was reached, or a client was let in to the embedded one.", "broker"),
		messages: desc("broker_messages_total", "Messages to our topics, by result: taken, or dropped because too many waited.", "broker", "result"),
		refused:  desc("broker_refused_total", "What the embedded broker turned away, by reason.", "reason"),
		clients:  desc("broker_clients", "Clients of the embedded broker."),
		until:    desc("broker_certificate_expires_timestamp_seconds", "Until when the embedded broker's certificate is good, 0 while there is none; absent without TLS."),
	})
}

// state asks at every scrape.
type state struct {
	look                                             func(context.Context) (State, error)
	log                                              *slog.Logger
	sessions, link, wanted, applied, up, took, size  *prometheus.Desc
	broker, joins, messages, refused, clients, until *prometheus.Desc
}

// lookWithin bounds how long a scrape waits.
const lookWithin = 5 * time.Second

// Describe names what Collect tells.
func (s *state) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.sessions, s.link, s.wanted, s.applied, s.up, s.took, s.size, s.broker, s.joins, s.messages, s.refused, s.clients, s.until} {
		out <- d
	}
}

// Collect tells how things stand.
func (s *state) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), lookWithin)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	truth := map[bool]float64{true: 1}
	st, err := s.look(ctx)
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	for _, b := range st.Brokers {
		gauge(s.broker, truth[b.Up], b.Name)
		count(s.joins, b.Connections, b.Name)
		count(s.messages, b.Taken, b.Name, "taken")
		count(s.messages, b.Dropped, b.Name, "dropped")
		if b.Name == "embedded" {
			gauge(s.clients, float64(b.Clients))
		}
		if b.TLS {
			until := 0.0
			if !b.Expires.IsZero() {
				until = float64(b.Expires.Unix())
			}
			gauge(s.until, until)
		}
		for reason, n := range b.Refused {
			count(s.refused, n, reason)
		}
	}
	if err != nil {
		s.log.WarnContext(ctx, "the database can't be asked for metrics", "err", err)
		gauge(s.up, 0)
		return
	}
	gauge(s.up, 1)
	gauge(s.took, st.DatabaseTook.Seconds())
	gauge(s.size, float64(st.DatabaseBytes))
	for _, n := range st.Sessions {
		gauge(s.sessions, float64(n.Number), n.Site, n.State)
	}
	for _, l := range st.Links {
		gauge(s.link, truth[l.Up], l.Site)
		gauge(s.wanted, float64(l.Wanted), l.Site)
		gauge(s.applied, float64(l.Applied), l.Site)
	}
}

// Handler shows the counters.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 2 * lookWithin})
}
