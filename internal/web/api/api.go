package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/auth"
)

const (
	base = "/api/v1"

	// maxBody is more than any request of this API needs, in bytes.
	maxBody = 64 << 10
	// listBody is for requests with lists, in bytes: one that is much too long is still told so by its name.
	listBody = 1 << 20
	// bodyTimeout is how long a client may take to send one.
	bodyTimeout = 10 * time.Second
)

// Options are what a Server is made of.
type Options struct {
	Access        *access.Access
	Auth          *auth.Auth
	Setup         *auth.Setup   // nil: set up already
	Notifications Notifications // nil: none
	PublicURL     string        // "": unknown; its origin counts as our own
	PagesURL      string        // where links to our pages begin
	GuestPage     string        // "": ours; else the address of one that was exported
	IPv6Prefix    int           // bits of an IPv6 source that count where no site says otherwise
	OIDC          *OIDC         // nil: off
	Brokers       Brokers
	Log           *slog.Logger
}

// Server serves the API. Safe for concurrent use.
type Server struct {
	access        *access.Access
	auth          *auth.Auth
	setup         *auth.Setup
	notifications Notifications
	oidc          *OIDC
	brokers       Brokers
	ipv6Prefix    int
	pagesURL      string
	guestPage     string
	log           *slog.Logger

	origin *http.CrossOriginProtection
	// publicURL is the one origin of browsers, "" when it is not configured.
	publicURL string
	mux       *http.ServeMux
	huma      huma.API
	openAPI   []byte // the OpenAPI 3.1 document

	closing context.Context // ends with EndStreams
	end     context.CancelFunc
}

// The names of fields are as documented, in their case too. huma has only this switch, for
// every API of a program at once, and reads it at every request: set while another Server
// answers, as in New, it would be a race.
func init() { huma.ValidateStrictCasing = true }

// New makes a Server.
func New(o Options) (*Server, error) {
	s := &Server{
		access: o.Access, auth: o.Auth, setup: o.Setup, notifications: o.Notifications, oidc: o.OIDC, brokers: o.Brokers, ipv6Prefix: o.IPv6Prefix, pagesURL: o.PagesURL, guestPage: o.GuestPage, log: o.Log, publicURL: strings.TrimSuffix(o.PublicURL, "/"),
		origin: http.NewCrossOriginProtection(), mux: http.NewServeMux(),
	}
	if s.notifications == nil {
		s.notifications = noChannels{}
	}
	s.closing, s.end = context.WithCancel(context.Background())
	if o.PublicURL != "" {
		if err := s.origin.AddTrustedOrigin(o.PublicURL); err != nil {
			return nil, err
		}
	}
	config := huma.DefaultConfig("Ownline", "1")
	config.Info.Description = "What the pages and the command line of Ownline are made of."
	config.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", ""
	config.CreateHooks = nil // no links to schemas in every answer
	config.RejectUnknownQueryParameters = true
	strict := huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshal}
	config.Formats = map[string]huma.Format{"application/json": strict, "json": strict}
	config.Transformers = []huma.Transformer{s.tell}
	config.Components.Schemas.RegisterTypeAlias(reflect.TypeFor[huma.ErrorDetail](), reflect.TypeFor[ErrorDetail]())
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"cookie": {Type: "apiKey", In: "cookie", Name: auth.CookieName, Description: "A browser that is signed in"},
		"token":  {Type: "http", Scheme: "bearer", Description: "For everything but browsers"},
	}
	s.huma = humago.New(s.mux, config)
	s.huma.UseMiddleware(s.admit)

	s.authResource()
	s.oidcResource()
	s.meResource()
	s.aboutResource()
	s.users()
	s.sites()
	s.services()
	s.icons()
	s.grants()
	s.devices()
	s.sessions()
	s.passes()
	s.invitations()
	s.tokens()
	s.notificationResource()
	s.brokerResource()
	s.audit()
	s.refusals()
	s.logins()
	s.factors()
	s.events()

	var err error
	complete(s.huma.OpenAPI())
	listCodes(s.huma.OpenAPI())
	if s.openAPI, err = json.MarshalIndent(s.huma.OpenAPI(), "", "  "); err != nil {
		return nil, err
	}
	s.openAPI = append(s.openAPI, '\n')
	if err := s.serveDocs(); err != nil {
		return nil, err
	}
	s.mux.HandleFunc("GET "+base+"/openapi.json", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(s.openAPI) // a client that went away needs no answer
	})
	s.mux.HandleFunc("/api/", s.nowhere)
	return s, nil
}

// nowhere answers what no operation does: the path is unknown, or the method is for it.
func (s *Server) nowhere(w http.ResponseWriter, r *http.Request) {
	problem := huma.Error404NotFound("there is no such resource")
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if _, pattern := s.mux.Handler(&http.Request{Method: method, URL: r.URL, Host: r.Host}); pattern != "" && pattern != "/api/" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		problem = huma.NewError(http.StatusMethodNotAllowed, "this resource takes "+strings.Join(allowed, ", "))
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(problem.GetStatus())
	_ = json.NewEncoder(w).Encode(problem) // a client that went away needs no answer
}

// EndStreams ends every stream of events, so that a server can shut down.
func (s *Server) EndStreams() { s.end() }

// ServeHTTP answers requests below /api/.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	s.mux.ServeHTTP(w, r)
}
