package web

import (
	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/api"
	"github.com/ownline/ownline/internal/web/oidc"
)

// oidc makes the way to the identity provider; nil when none is configured. The provider
// need not be up.
func (w *Web) oidc() (*api.OIDC, error) {
	c := w.cfg.OIDC
	if c.Issuer == "" {
		return nil, nil
	}
	authorities, err := config.Authorities(c.CAFile)
	if err != nil {
		return nil, err
	}
	p := oidc.New(oidc.Options{
		Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: c.ClientSecret, Scopes: c.Scopes, Name: c.Name,
		UsernameClaim: c.UsernameClaim, RoleClaim: c.RoleClaim, AdminValues: c.AdminValues, UserValues: c.UserValues,
		Authorities: authorities, RedirectURL: w.cfg.PublicURL + api.OIDCCallback, Sealer: w.store, Log: w.log.With(logging.Part, "oidc"),
	})
	return &api.OIDC{Provider: p, Rules: access.ExternalRules{Create: c.CreateUsers, LinkByName: c.LinkByName}}, nil
}
