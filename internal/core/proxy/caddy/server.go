package caddy

// What follows is Caddy's own format, as far as it is written here:
// https://caddyserver.com/docs/json/ of version 2.6.

type server struct {
	ID                string      `json:"@id"`
	Listen            []string    `json:"listen"`
	Protocols         []string    `json:"protocols"`
	ReadHeaderTimeout string      `json:"read_header_timeout"`
	IdleTimeout       string      `json:"idle_timeout"`
	MaxHeaderBytes    int         `json:"max_header_bytes"`
	StrictSNIHost     bool        `json:"strict_sni_host"`
	AutomaticHTTPS    automatic   `json:"automatic_https"`
	Policies          []policy    `json:"tls_connection_policies"`
	Routes            []route     `json:"routes"`
	Errors            errorRoutes `json:"errors"`
}

type errorRoutes struct {
	Routes []route `json:"routes"`
}

type automatic struct {
	Disable bool `json:"disable"`
}

type policy struct {
	Match struct {
		SNI []string `json:"sni"`
	} `json:"match"`
	Select struct {
		AnyTag []string `json:"any_tag"`
	} `json:"certificate_selection"`
	ALPN        []string `json:"alpn"`
	ProtocolMin string   `json:"protocol_min"`
}

type certificate struct {
	ID    string   `json:"@id"`
	Chain string   `json:"certificate"`
	Key   string   `json:"key"`
	Tags  []string `json:"tags"`
}

type route struct {
	ID       string    `json:"@id,omitempty"`
	Group    string    `json:"group,omitempty"` // of which the first that matches is taken, alone
	Match    []matcher `json:"match,omitempty"`
	Handle   []any     `json:"handle"`
	Terminal bool      `json:"terminal,omitempty"`
}

// Everything in a matcher has to match; of the variables in Vars or VarsRegexp one.
type matcher struct {
	Host         []string            `json:"host,omitempty"`
	Method       []string            `json:"method,omitempty"`
	Header       map[string][]string `json:"header,omitempty"`
	HeaderRegexp map[string]pattern  `json:"header_regexp,omitempty"`
	RemoteIP     *ranges             `json:"remote_ip,omitempty"`
	File         *file               `json:"file,omitempty"`
	Vars         map[string][]string `json:"vars,omitempty"`
	VarsRegexp   map[string]pattern  `json:"vars_regexp,omitempty"`
	Not          []matcher           `json:"not,omitempty"`
}

type ranges struct {
	Ranges []string `json:"ranges"`
}

// file matches where there is one of these.
type file struct {
	Root     string   `json:"root"`
	TryFiles []string `json:"try_files"`
}

type pattern struct {
	Pattern string `json:"pattern"`
}

// Handlers, each with its name in "handler".

type answer struct {
	Handler    string              `json:"handler"` // static_response, or error, which leads to the errors of the server
	StatusCode int                 `json:"status_code"`
	Headers    map[string][]string `json:"headers,omitempty"`
	Body       string              `json:"body,omitempty"`
}

// copyResponse passes on what was answered to a reverse_proxy.
type copyResponse struct {
	Handler string `json:"handler"` // copy_response
}

type subroute struct {
	Handler string  `json:"handler"` // subroute
	Routes  []route `json:"routes"`
}

type headers struct {
	Handler  string     `json:"handler,omitempty"` // headers; in a reverse_proxy none
	Request  *headerOps `json:"request,omitempty"`
	Response *headerOps `json:"response,omitempty"`
}

type headerOps struct {
	Set     map[string][]string      `json:"set,omitempty"`
	Delete  []string                 `json:"delete,omitempty"`
	Replace map[string][]replacement `json:"replace,omitempty"`
}

type replacement struct {
	Search  string `json:"search_regexp"`
	Replace string `json:"replace"`
}

type reverseProxy struct {
	Handler        string        `json:"handler"` // reverse_proxy
	Upstreams      []upstream    `json:"upstreams"`
	Transport      transport     `json:"transport"`
	LoadBalancing  *balancing    `json:"load_balancing,omitempty"`
	HealthChecks   *healthChecks `json:"health_checks,omitempty"`
	FlushInterval  string        `json:"flush_interval,omitempty"`
	Headers        *headers      `json:"headers,omitempty"`
	Rewrite        *rewrite      `json:"rewrite,omitempty"`
	HandleResponse []response    `json:"handle_response,omitempty"`
}

type upstream struct {
	Dial string `json:"dial"`
}

type keepAlive struct {
	Enabled bool `json:"enabled"`
}

type transport struct {
	KeepAlive             *keepAlive `json:"keep_alive,omitempty"`
	Protocol              string     `json:"protocol"` // http
	Versions              []string   `json:"versions"`
	Compression           bool       `json:"compression"`
	DialTimeout           string     `json:"dial_timeout"`
	ResponseHeaderTimeout string     `json:"response_header_timeout,omitempty"`
	ExpectContinueTimeout string     `json:"expect_continue_timeout,omitempty"`
	MaxResponseHeaderSize int        `json:"max_response_header_size,omitempty"`
	TLS                   *security  `json:"tls,omitempty"`
}

type security struct {
	Roots            []string `json:"root_ca_pool,omitempty"` // DER in base64
	ServerName       string   `json:"server_name,omitempty"`
	HandshakeTimeout string   `json:"handshake_timeout"`
}

type balancing struct {
	Policy struct {
		Policy string `json:"policy"`
	} `json:"selection_policy"`
	Retries int `json:"retries"`
}

type healthChecks struct {
	Passive struct {
		FailDuration string `json:"fail_duration"`
	} `json:"passive"`
}

type rewrite struct {
	Method     string           `json:"method,omitempty"`
	URI        string           `json:"uri,omitempty"`
	PathRegexp []pathSubstitute `json:"path_regexp,omitempty"`
}

type pathSubstitute struct {
	Find    string `json:"find"`
	Replace string `json:"replace"`
}

type response struct {
	Match struct {
		StatusCode []int               `json:"status_code,omitempty"`
		Headers    map[string][]string `json:"headers,omitempty"`
	} `json:"match"`
	Routes []route `json:"routes"`
}
