package auth

import (
	"context"
	"net/netip"
	"time"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// Attempt lets somebody without an account try a secret that is no password, as that of a
// link. Whoever tries wrong ones must wait, ever longer; that holds nobody else up. what says
// in the log which kind of secret it was. Call right when the secret was a right one.
func (a *Auth) Attempt(ctx context.Context, what string, client netip.Addr) (right func(), err error) {
	account := "\x00" + what // no user has such a name
	if err := a.throttle.enter(ctx, account, client, true); err != nil {
		return nil, err
	}
	if a.throttle.suspicious(account, client) {
		a.log.WarnContext(ctx, "somebody guesses secrets", "what", what, logging.Source, client)
		err := a.store.Audit(ctx, ownline.AuditEntry{
			At: time.Now(), Client: client, By: what, Action: "auth.guessing", Subject: what,
			Detail: "many wrong secrets; tries are slowed down",
		})
		if err != nil {
			return nil, err
		}
	}
	return func() { a.throttle.succeeded(account, client, true) }, nil
}
