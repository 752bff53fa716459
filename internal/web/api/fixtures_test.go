package api

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"time"

	"github.com/descope/virtualwebauthn"
	"github.com/pquerna/otp/totp"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/auth"
	"github.com/ownline/ownline/internal/web/oidc"
)

// person is a user made for one call: what it takes away, nobody else misses.
type person struct {
	name, id, token string
	browser         *browser
}

func (w *world) person(role ownline.Role) *person {
	w.t.Helper()
	name := w.unique("p")
	u, err := w.access.AddUser(w.t.Context(), access.Command(), access.NewUser{Name: name, Password: userPassword, Role: role})
	if err != nil {
		w.t.Fatal(err)
	}
	p := &person{name: name, id: u.ID.String(), browser: w.browser("Go-http-client/1.1")}
	at := auth.Identity{Client: netip.MustParseAddr("198.51.100.7"), Agent: p.browser.name}
	if _, p.token, err = w.api.auth.StartToken(w.t.Context(), u, ownline.ByPassword, at, "test", []string{ownline.ScopeFull}, time.Now().Add(time.Hour)); err != nil {
		w.t.Fatal(err)
	}
	value, err := w.api.auth.StartLogin(w.t.Context(), u, ownline.ByPassword, at)
	if err != nil {
		w.t.Fatal(err)
	}
	p.browser.cookie = auth.CookieName + "=" + value
	return p
}

// unique returns a name that the world has not yet.
func (w *world) unique(what string) string { w.made++; return fmt.Sprintf("%s%d", what, w.made) }

// scene is a world with the person whom the thing in the path of a call belongs to, or who
// calls.
type scene struct {
	*world
	of *person
}

// request is a call that is allowed to whoever may make it.
type request struct {
	id      string // in the path, or the name
	body    any
	headers []string
	want    int  // 0: the status of success
	browser bool // not for tokens
}

// fixtures makes a request for every operation that needs more than its path.
var fixtures = map[string]func(scene) request{
	"login": func(s scene) request { return request{body: m{"name": s.of.name, "password": userPassword}} },
	"token": func(s scene) request { return request{body: m{"name": s.of.name, "password": userPassword}} },
	"second-factor": func(s scene) request {
		code := s.secondFactor()
		first := as[refusal](s.do("", "POST", "/auth/login", m{"name": s.of.name, "password": userPassword}), 401)
		return request{body: m{"challenge": first.Challenge, "otp": code(0)}}
	},
	"passkey-options": func(scene) request { return request{body: m{}} },
	"passkey": func(s scene) request {
		_, answer := s.passkey()
		return request{body: answer()}
	},
	// The world is set up; an answer of a provider is judged in internal/web.
	"setup": func(scene) request {
		return request{body: m{"token": "t", "name": "x", "password": userPassword}, want: 403}
	},
	"oidc-callback": func(s scene) request { // each from elsewhere, as tries are counted
		s.made++
		return request{want: 401, headers: []string{"X-Forwarded-For", fmt.Sprintf("203.0.113.%d", s.made%250)}}
	},
	"oidc-link": func(scene) request { return request{browser: true} },

	"add-pass": func(s scene) request {
		v := as[service](s.do(s.admin, "POST", "/services", m{"site": s.site.ID, "name": s.unique("s"), "kind": "proxy", "target": "192.168.7.12:80", "options": m{"require_login": true}}), 201)
		s.addGrant(s.of.token, v, nil)
		return request{browser: true, body: m{"service": v.ID, "state": strings.Repeat("A", 43)}}
	},

	"add-device":    func(s scene) request { s.service(); return request{body: m{"site": s.site.ID, "name": "tablet"}} },
	"get-device":    device,
	"change-device": func(s scene) request { r := device(s); r.body = m{"name": "telephone"}; return r },
	"remove-device": device,
	"revoke-device": device,
	"rotate-device": device,

	"add-grant": func(s scene) request {
		return request{body: m{"user": s.of.id, "service": s.addService(s.unique("s"), "192.168.7.10:22").ID}}
	},
	"get-grant":    granted,
	"change-grant": func(s scene) request { r := granted(s); r.body = m{"automatic": true}; return r },
	"remove-grant": granted,

	"invite":            func(s scene) request { return request{body: m{"service": s.service().ID}} },
	"get-invitation":    invited,
	"revoke-invitation": invited,
	"preview-invitation": func(s scene) request {
		_, secret := s.invite(s.of.token, s.service(), nil)
		return request{body: m{"secret": secret}}
	},
	"invitation-icon": func(s scene) request {
		v := s.service()
		s.do(s.admin, "PUT", "/services/"+v.ID+"/icon", sampleSVG, "Content-Type", "image/svg+xml").want(200)
		_, secret := s.invite(s.of.token, v, nil)
		return request{body: m{"secret": secret}}
	},
	"leave-invitation": func(s scene) request {
		_, secret := s.invite(s.of.token, s.service(), nil)
		return request{body: m{"secret": secret}}
	},
	"redeem-invitation": func(s scene) request {
		_, secret := s.invite(s.of.token, s.service(), nil)
		return request{body: m{"secret": secret}}
	},

	"end-login": func(s scene) request {
		s.world.browser("another").login(s.of.name, userPassword).want(200)
		return request{id: as[list[login]](s.do(s.of.token, "GET", "/logins", nil), 200).Items[0].ID}
	},
	"change-password": func(scene) request {
		return request{body: m{"current": userPassword, "password": "another good password"}}
	},
	"offer-totp":   func(scene) request { return request{body: m{"password": userPassword}} },
	"confirm-totp": func(s scene) request { return request{body: m{"otp": s.offeredFactor()(0)}} },
	"remove-totp":  func(s scene) request { s.secondFactor(); return request{body: m{"password": userPassword}} },
	"new-recovery-codes": func(s scene) request {
		s.secondFactor()
		return request{body: m{"password": userPassword}}
	},
	"offer-passkey":  func(scene) request { return request{body: m{"password": userPassword}} },
	"add-passkey":    func(s scene) request { return request{body: s.newPasskey(nil)} },
	"rename-passkey": func(s scene) request { id, _ := s.passkey(); return request{id: id, body: m{"name": "blue"}} },
	"remove-passkey": func(s scene) request { id, _ := s.passkey(); return request{id: id} },

	"test-notification": func(scene) request { return request{id: "ops"} },

	"add-service": func(s scene) request {
		return request{body: m{"site": s.site.ID, "name": s.unique("s"), "target": "192.168.7.10:22"}}
	},
	"get-service":    served,
	"change-service": func(s scene) request { r := served(s); r.body = m{"target": "192.168.7.11:22"}; return r },
	"remove-service": served,
	"preview-service": func(s scene) request {
		return request{id: s.addProxied(s.unique("p"), nil).ID, body: m{}}
	},
	"get-service-icon": func(s scene) request {
		r := served(s)
		s.do(s.admin, "PUT", "/services/"+r.id+"/icon", sampleSVG, "Content-Type", "image/svg+xml").want(200)
		return r
	},
	"set-service-icon": func(s scene) request {
		r := served(s)
		r.body, r.headers = sampleSVG, []string{"Content-Type", "image/svg+xml"}
		return r
	},

	"open-session":  func(s scene) request { return request{body: m{"service": s.service().ID}} },
	"get-session":   opened,
	"close-session": opened,
	"renew-session": opened,

	"add-site":     func(s scene) request { return request{body: s.newSite()} },
	"get-site":     func(s scene) request { s.service(); return request{id: s.site.ID} },
	"change-site":  func(s scene) request { return request{id: s.ownSite(), body: m{"host": "new.example.org"}} },
	"remove-site":  func(s scene) request { return request{id: s.ownSite()} },
	"apply-site":   func(s scene) request { return request{id: s.ownSite()} },
	"pair-site":    func(s scene) request { return request{id: s.ownSite(), body: m{"code": s.newSite()["code"]}} },
	"reach-target": func(s scene) request { return request{id: s.ownSite(), body: m{"target": "192.168.7.10:80"}} },
	"ping-site":    func(s scene) request { s.service(); return request{id: s.site.ID} },
	"site-root":    func(s scene) request { s.service(); return request{id: s.site.ID} },
	"site-pending": func(s scene) request { return request{id: s.ownSite()} },

	"add-token": func(scene) request { return request{body: m{"name": "x", "scopes": []string{"tokens"}}} },
	"remove-token": func(s scene) request {
		return request{id: as[Token](s.addToken(s.of.token, m{"name": "t", "scopes": []string{"read"}}), 201).ID}
	},

	"add-user":      func(s scene) request { return request{body: m{"name": s.unique("u"), "password": userPassword}} },
	"get-user":      func(s scene) request { return request{id: s.of.id} },
	"change-user":   func(s scene) request { return request{id: s.of.id, body: m{"name": s.unique("renamed")}} },
	"remove-user":   func(s scene) request { return request{id: s.of.id} },
	"reset-factors": func(s scene) request { s.passkey(); return request{id: s.of.id} },
}

// service is one that the person may use.
func (s scene) service() service {
	v := s.addService(s.unique("s"), "192.168.7.10:22")
	s.addGrant(s.of.token, v, nil)
	return v
}

func served(s scene) request { return request{id: s.service().ID} }

func granted(s scene) request {
	return request{id: s.addGrant(s.of.token, s.addService(s.unique("s"), "192.168.7.10:22"), nil).ID}
}

func device(s scene) request {
	s.service()
	return request{id: as[Device](s.do(s.of.token, "POST", "/devices", m{"site": s.site.ID, "name": "phone"}), 201).ID}
}

func invited(s scene) request {
	i, _ := s.invite(s.of.token, s.service(), nil)
	return request{id: i.ID}
}

func opened(s scene) request {
	return request{id: as[session](s.do(s.of.token, "POST", "/sessions", m{"service": s.service().ID}), 201).ID}
}

func (s scene) newSite() m {
	name := s.unique("site")
	pin := base64.RawURLEncoding.EncodeToString([]byte((name + strings.Repeat("-", 32))[:32]))
	return m{"code": link.Code{Addr: fmt.Sprintf("192.0.2.1:%d", 1000+s.made), Pin: link.Pin(pin), Token: "t"}.String(), "name": name, "host": name + ".example.org"}
}

func (s scene) ownSite() string {
	return as[site](s.do(s.admin, "POST", "/sites", s.newSite()), 201).ID
}

// offeredFactor offers the person a second factor; the code is of a time before or after now.
func (s scene) offeredFactor() (code func(time.Duration) string) {
	offer := as[struct{ Secret string }](s.do(s.of.token, "POST", "/me/totp", m{"password": userPassword}), 200)
	return func(aside time.Duration) string {
		c, err := totp.GenerateCode(offer.Secret, time.Now().Add(aside))
		if err != nil {
			s.t.Fatal(err)
		}
		return c
	}
}

func (s scene) secondFactor() (code func(time.Duration) string) {
	code = s.offeredFactor()
	s.do(s.of.token, "POST", "/me/totp/confirm", m{"otp": code(-30 * time.Second)}).want(200)
	return code
}

var party = virtualwebauthn.RelyingParty{ID: "own.example.org", Origin: publicURL}

// newKey makes a key of an authenticator: not one whose coordinates begin with a zero byte,
// which the library leaves out.
func newKey() virtualwebauthn.Credential {
	const whole = 77 // bytes of CBOR
	for {
		if k := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2); len(k.Key.AttestationData()) == whole {
			return k
		}
	}
}

type asked struct {
	Challenge string
	Options   json.RawMessage
}

func (s scene) object(text string) (v m) {
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		s.t.Fatal(err)
	}
	return v
}

// newPasskey is what registers a passkey of the person; nil: whichever.
func (s scene) newPasskey(key *virtualwebauthn.Credential) m {
	if key == nil {
		k := newKey()
		key = &k
	}
	offer := as[asked](s.do(s.of.token, "POST", "/me/passkeys/options", m{"password": userPassword}), 200)
	options, err := virtualwebauthn.ParseAttestationOptions(string(offer.Options))
	if err != nil {
		s.t.Fatal(err)
	}
	return m{"name": "key", "challenge": offer.Challenge, "credential": s.object(virtualwebauthn.CreateAttestationResponse(party, s.authenticator(), *key, *options))}
}

func (s scene) authenticator() virtualwebauthn.Authenticator {
	id, err := ownline.ParseID[ownline.User](s.of.id)
	if err != nil {
		s.t.Fatal(err)
	}
	return virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{UserHandle: id[:]})
}

// passkey registers a passkey of the person; answer signs in by it.
func (s scene) passkey() (id string, answer func() m) {
	key := newKey()
	p := as[passkey](s.do(s.of.token, "POST", "/me/passkeys", s.newPasskey(&key)), 201)
	return p.ID, func() m {
		ask := as[asked](s.do("", "POST", "/auth/passkey/options", m{}), 200)
		options, err := virtualwebauthn.ParseAssertionOptions(string(ask.Options))
		if err != nil {
			s.t.Fatal(err)
		}
		return m{"challenge": ask.Challenge, "credential": s.object(virtualwebauthn.CreateAssertionResponse(party, s.authenticator(), key, *options))}
	}
}

// newOIDC is a way to a provider that can be found, and no more.
func (w *world) newOIDC(log *slog.Logger) *OIDC {
	var url string
	idp := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(rw).Encode(m{
			"issuer": url, "authorization_endpoint": url + "/auth", "token_endpoint": url + "/token", "jwks_uri": url + "/keys",
			"id_token_signing_alg_values_supported": []string{"RS256"},
		}); err != nil {
			w.t.Error(err)
		}
	}))
	w.t.Cleanup(idp.Close)
	url = idp.URL
	p := oidc.New(oidc.Options{Issuer: url, ClientID: "ownline", Name: "test", RedirectURL: publicURL + OIDCCallback, Sealer: w.store, Log: log})
	return &OIDC{Provider: p}
}
