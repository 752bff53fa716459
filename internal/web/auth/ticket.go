package auth

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/ownline/ownline/internal/ownline"
)

// stepLifetime is how long the next step of a sign-in may take.
const stepLifetime = 5 * time.Minute

// ticket is what one step of a sign-in leaves for the next. The client carries it, sealed
// by the secret key: it can neither read nor change it, no stranger can fill our memory
// with steps that nobody takes, and any replica may serve the next step. What a ticket was
// good for can be had once: see spend.
type ticket struct {
	ID       ownline.ID[ticket]    `json:"id"`             // makes each one different
	User     ownline.UserID        `json:"user"`           // zero: not known yet
	Place    string                `json:"place"`          // where the client is
	Agent    string                `json:"agent"`          // what it says that it is
	Expires  time.Time             `json:"expires"`        //
	Ceremony *webauthn.SessionData `json:"ceremony"`       // of a passkey
	Second   bool                  `json:"second"`         // the password was right
	First    []byte                `json:"first,omitzero"` // hash of the ticket that this one came from
	hash     []byte
}

// The purposes of tickets. One for a purpose is none for another.
const (
	forSecond   = "second factor"
	forPasskey  = "sign in by passkey"
	forRegister = "register a passkey"
)

// issue makes a ticket for the client that a request came from.
func (a *Auth) issue(ctx context.Context, t ticket, purpose string, from Identity) (string, error) {
	t.ID = ownline.NewID[ticket]()
	t.Place, t.Agent, t.Expires = neighbourhood(from.Client).String(), from.Agent, time.Now().Add(stepLifetime)
	plain, err := json.Marshal(t)
	if err != nil {
		return "", err
	}
	return a.store.Seal(ctx, plain, "sign-in/"+purpose)
}

// redeem reads a ticket that the same client brings back in time.
func (a *Auth) redeem(ctx context.Context, value, purpose string, from Identity) (ticket, error) {
	over := ownline.Forbidden("challenge", "is not one of this sign-in, or too old; begin again")
	plain, err := a.store.Unseal(ctx, value, "sign-in/"+purpose)
	if err != nil {
		return ticket{}, over
	}
	var t ticket
	if err := json.Unmarshal(plain, &t); err != nil {
		return ticket{}, over
	}
	if !time.Now().Before(t.Expires) || t.Place != neighbourhood(from.Client).String() || t.Agent != from.Agent {
		return ticket{}, over
	}
	t.hash = hashOf(string(plain)) // not of value: there are several ways to write the same
	return t, nil
}

// spend uses a ticket up. Of two that try at the same time one succeeds.
func (a *Auth) spend(ctx context.Context, t ticket) error {
	hashes := [][]byte{t.hash}
	if t.First != nil {
		hashes = append(hashes, t.First)
	}
	for _, h := range hashes {
		err := a.store.Spend(ctx, h, t.Expires.Add(stepLifetime))
		if errors.Is(err, ownline.ErrConflict) {
			return ownline.Forbidden("challenge", "was used already; begin again")
		}
		if err != nil {
			return err
		}
	}
	return nil
}
