package auth

import (
	"context"
	"net/netip"

	"github.com/ownline/ownline/internal/logging"
)

// Attempt lets somebody without an account try a secret that is no password, as that of a
// link. Whoever tries wrong ones must wait, ever longer; that holds nobody else up. what says
// in the log which kind of secret it was. Call right when the secret was a right one, and
// over in any case when that is known.
func (a *Auth) Attempt(ctx context.Context, what string, client netip.Addr) (right, over func(), err error) {
	account := "\x00" + what // no user has such a name
	try, err := a.throttle.enter(ctx, account, client, true)
	if err != nil {
		return nil, nil, err
	}
	return try.right, func() {
		if try.wrong() {
			a.log.WarnContext(ctx, "somebody guesses secrets", "what", what, logging.Source, client)
			a.auditGuessing(ctx, what, what, "many wrong secrets; tries are slowed down", client)
		}
	}, nil
}
