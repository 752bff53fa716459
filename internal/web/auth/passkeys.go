package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

const (
	maxPasskeys = 20 // of a user
)

// party is what authenticators know us by: the host of public_url.
type party struct {
	host     string
	webauthn *webauthn.WebAuthn
	off      error // why there are no passkeys; nil: there are
}

func newParty(publicURL string) party {
	off := func(detail string) party { return party{off: ownline.Conflict("public_url", detail)} }
	if publicURL == "" {
		return off("is not set: passkeys are bound to the name of the server, so set it in web.yaml")
	}
	u, err := url.Parse(publicURL)
	if err != nil {
		return off("can't be read, and passkeys are bound to it")
	}
	host := u.Hostname()
	loopback := host == "localhost" || strings.HasSuffix(host, ".localhost")
	if _, err := netip.ParseAddr(host); err == nil {
		return off("names an address, and browsers bind passkeys to names only, like ownline.example.org or localhost")
	}
	if u.Scheme != "https" && !loopback {
		return off("has to begin with https://: browsers offer no passkeys without encryption")
	}
	w, err := webauthn.New(&webauthn.Config{
		RPID: host, RPDisplayName: "Ownline", RPOrigins: []string{u.Scheme + "://" + u.Host},
		AttestationPreference: protocol.PreferNoAttestation,
	})
	if err != nil {
		return off("can't be used for passkeys: " + err.Error())
	}
	return party{host: host, webauthn: w}
}

// PasskeysOff returns why there are no passkeys, nil when there are.
func (a *Auth) PasskeysOff() error { return a.party.off }

// issuer is how apps that make codes call us.
func (a *Auth) issuer() string {
	if a.party.host == "" {
		return "Ownline"
	}
	return "Ownline " + a.party.host
}

// holder is a user with their passkeys, as the library wants to see them.
type holder struct {
	user     ownline.User
	passkeys []ownline.Passkey
	known    []webauthn.Credential
}

func (h *holder) WebAuthnID() []byte                         { return h.user.ID[:] }
func (h *holder) WebAuthnName() string                       { return h.user.Name }
func (h *holder) WebAuthnDisplayName() string                { return h.user.Name }
func (h *holder) WebAuthnCredentials() []webauthn.Credential { return h.known }

func (a *Auth) holder(ctx context.Context, user ownline.User) (*holder, error) {
	h := &holder{user: user}
	var err error
	if h.passkeys, err = a.store.Passkeys(ctx, user.ID); err != nil {
		return nil, err
	}
	for _, p := range h.passkeys {
		var c webauthn.Credential
		if err := json.Unmarshal(p.Data, &c); err != nil {
			return nil, fmt.Errorf("passkey %s is damaged: %w", p.ID, err)
		}
		h.known = append(h.known, c)
	}
	return h, nil
}

// Ceremony is what a browser needs to ask its authenticators, and what it brings back.
type Ceremony struct {
	Challenge string // to be sent back with the authenticator's answer
	Options   any    // for navigator.credentials, as JSON
}

// OfferPasskey begins to register a passkey for whoever asks. Whoever did not sign in just
// now has to give a password or a code.
func (a *Auth) OfferPasskey(ctx context.Context, id Identity, password string, code Code) (Ceremony, error) {
	if a.party.off != nil {
		return Ceremony{}, a.party.off
	}
	if err := a.prove(ctx, id, password, code, true); err != nil {
		return Ceremony{}, err
	}
	h, err := a.holder(ctx, id.User)
	if err != nil {
		return Ceremony{}, err
	}
	options, session, err := a.party.webauthn.BeginRegistration(h,
		webauthn.WithAuthenticatorSelection(protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		}),
		webauthn.WithExclusions(webauthn.Credentials(h.known).CredentialDescriptors()))
	if err != nil {
		return Ceremony{}, fmt.Errorf("begin to register a passkey: %w", err)
	}
	value, err := a.issue(ctx, ticket{User: id.User.ID, Ceremony: session}, forRegister, id)
	return Ceremony{value, options.Response}, err
}

// AddPasskey registers the passkey that an authenticator made for OfferPasskey.
func (a *Auth) AddPasskey(ctx context.Context, id Identity, challenge, name string, answer []byte) (ownline.Passkey, error) {
	if a.party.off != nil {
		return ownline.Passkey{}, a.party.off
	}
	name, err := label(name)
	if err != nil {
		return ownline.Passkey{}, err
	}
	t, err := a.redeem(ctx, challenge, forRegister, id)
	if err != nil {
		return ownline.Passkey{}, err
	}
	if t.User != id.User.ID || t.Ceremony == nil {
		return ownline.Passkey{}, ownline.Forbidden("challenge", "is another user's")
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return ownline.Passkey{}, ownline.Invalid("credential", "is not what an authenticator answers")
	}
	h, err := a.holder(ctx, id.User)
	if err != nil {
		return ownline.Passkey{}, err
	}
	c, err := a.party.webauthn.CreateCredential(h, *t.Ceremony, parsed)
	if err != nil {
		a.log.InfoContext(ctx, "a passkey was not taken", logging.User, id.User.Name, logging.Err, err)
		return ownline.Passkey{}, ownline.Invalid("credential", "was not made for this server and this try, or nobody unlocked the authenticator")
	}
	data, err := json.Marshal(c)
	if err != nil {
		return ownline.Passkey{}, err
	}
	if err := a.spend(ctx, t); err != nil {
		return ownline.Passkey{}, err
	}
	p := ownline.Passkey{ID: ownline.NewID[ownline.Passkey](), User: id.User.ID, Name: name, Credential: c.ID, Data: data, Created: time.Now().UTC()}
	if err := a.store.AddPasskey(ctx, p, maxPasskeys); err != nil {
		return ownline.Passkey{}, err
	}
	return p, a.audit(ctx, id, "passkey.add", p.ID.String())
}

// Passkeys lists those of whoever asks.
func (a *Auth) Passkeys(ctx context.Context, id Identity) ([]ownline.Passkey, error) {
	return a.store.Passkeys(ctx, id.User.ID)
}

// RenamePasskey gives a passkey of whoever asks another name.
func (a *Auth) RenamePasskey(ctx context.Context, id Identity, p ownline.PasskeyID, name string) (ownline.Passkey, error) {
	name, err := label(name)
	if err != nil {
		return ownline.Passkey{}, err
	}
	if err := a.store.RenamePasskey(ctx, id.User.ID, p, name); err != nil {
		return ownline.Passkey{}, err
	}
	ps, err := a.store.Passkeys(ctx, id.User.ID)
	for _, found := range ps {
		if found.ID == p {
			return found, a.audit(ctx, id, "passkey.rename", p.String())
		}
	}
	return ownline.Passkey{}, errors.Join(err, ownline.NotFound("passkey", p.String()))
}

// RemovePasskey makes a passkey of whoever asks worthless.
func (a *Auth) RemovePasskey(ctx context.Context, id Identity, p ownline.PasskeyID) error {
	if err := a.store.DeletePasskey(ctx, id.User.ID, p); err != nil {
		return err
	}
	return a.audit(ctx, id, "passkey.remove", p.String())
}

// AskPasskey begins a sign-in by passkey: with the challenge of Check as the second factor,
// with "" by a passkey alone, whose authenticator knows the name and unlocks itself first.
func (a *Auth) AskPasskey(ctx context.Context, challenge string, from Identity) (Ceremony, error) {
	if a.party.off != nil {
		return Ceremony{}, a.party.off
	}
	if challenge == "" {
		options, session, err := a.party.webauthn.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
		if err != nil {
			return Ceremony{}, fmt.Errorf("begin to sign in by passkey: %w", err)
		}
		value, err := a.issue(ctx, ticket{Ceremony: session}, forPasskey, from)
		return Ceremony{value, options.Response}, err
	}
	t, err := a.redeem(ctx, challenge, forSecond, from)
	if err != nil {
		return Ceremony{}, err
	}
	user, _, err := a.store.Password(ctx, t.User)
	if err != nil {
		return Ceremony{}, err
	}
	h, err := a.holder(ctx, user)
	if err != nil {
		return Ceremony{}, err
	}
	if len(h.known) == 0 {
		return Ceremony{}, ownline.Conflict("challenge", "is of a user without passkeys; use a code")
	}
	options, session, err := a.party.webauthn.BeginLogin(h, webauthn.WithUserVerification(protocol.VerificationPreferred))
	if err != nil {
		return Ceremony{}, fmt.Errorf("begin to sign in by passkey: %w", err)
	}
	value, err := a.issue(ctx, ticket{User: user.ID, Ceremony: session, Second: true, First: t.hash}, forPasskey, from)
	return Ceremony{value, options.Response}, err
}

// CheckPasskey finds the user whose authenticator answered what AskPasskey asked.
func (a *Auth) CheckPasskey(ctx context.Context, challenge string, answer []byte, from Identity) (ownline.User, error) {
	if a.party.off != nil {
		return ownline.User{}, a.party.off
	}
	t, err := a.redeem(ctx, challenge, forPasskey, from)
	if err != nil {
		return ownline.User{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return ownline.User{}, ownline.Invalid("credential", "is not what an authenticator answers")
	}
	h, c, err := a.proved(ctx, t, parsed)
	if err != nil {
		return ownline.User{}, err
	}
	if c == nil || h.user.Disabled {
		user := ownline.User{}
		if h != nil {
			user = h.user
		}
		return ownline.User{}, a.wrongPasskey(ctx, user, from)
	}
	if err := a.spend(ctx, t); err != nil {
		return ownline.User{}, err
	}
	return h.user, a.usePasskey(ctx, h, c, from)
}

// proved finds whose passkey answered. No credential: none that counts, or of nobody.
func (a *Auth) proved(ctx context.Context, t ticket, parsed *protocol.ParsedCredentialAssertionData) (h *holder, c *webauthn.Credential, err error) {
	var failed error // ours, not the client's
	load := func(id ownline.UserID) (*holder, error) {
		user, _, err := a.store.Password(ctx, id)
		if err == nil {
			h, err = a.holder(ctx, user)
		}
		if err != nil && !errors.Is(err, ownline.ErrNotFound) {
			failed = err
		}
		return h, err
	}
	var refused error
	if t.Second {
		if _, refused = load(t.User); refused == nil {
			c, refused = a.party.webauthn.ValidateLogin(h, *t.Ceremony, parsed)
		}
	} else {
		c, refused = a.party.webauthn.ValidateDiscoverableLogin(func(_, handle []byte) (webauthn.User, error) {
			var id ownline.UserID
			if len(handle) != len(id) {
				return nil, ownline.ErrNotFound
			}
			return load(ownline.UserID(handle))
		}, *t.Ceremony, parsed)
	}
	if failed != nil {
		return nil, nil, failed
	}
	if refused != nil {
		a.log.InfoContext(ctx, "a passkey does not count", logging.Err, refused)
		return h, nil, nil
	}
	return h, c, nil
}

func (a *Auth) wrongPasskey(ctx context.Context, user ownline.User, from Identity) error {
	if err := a.throttle.failedPasskey(from.Client); err != nil {
		return a.slowedDown(ctx, err, user, ownline.ByPasskey, from)
	}
	a.tried(ctx, user, ownline.ByPasskey, ownline.WrongPasskey, 1, from)
	return &ownline.FieldError{Kind: ownline.ErrUnauthorized, Detail: "this passkey does not count here"}
}

// usePasskey writes down that a passkey was used. One whose counter went backwards may have
// been copied: it is marked and does not count from then on.
func (a *Auth) usePasskey(ctx context.Context, h *holder, c *webauthn.Credential, from Identity) error {
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	for _, p := range h.passkeys {
		if !bytes.Equal(p.Credential, c.ID) {
			continue
		}
		cloned := p.Cloned || c.Authenticator.CloneWarning
		if cloned && !p.Cloned {
			a.log.WarnContext(ctx, "a passkey may have been copied: its counter went backwards", logging.User, h.user.Name, logging.Source, from.Client)
			if err := a.audit(ctx, Identity{User: h.user, Client: from.Client}, "passkey.cloned", p.ID.String()); err != nil {
				return err
			}
		}
		if !cloned {
			p.LastUsed = time.Now()
		}
		p.Data, p.Cloned = data, cloned
		if err := a.store.UsePasskey(ctx, p); err != nil {
			return err
		}
		if cloned {
			a.tried(ctx, h.user, ownline.ByPasskey, ownline.WrongPasskey, 1, from)
			return &ownline.FieldError{Kind: ownline.ErrUnauthorized, Detail: "this passkey may have been copied and does not count any more; remove it and register another"}
		}
		return a.remember(ctx, h.user.ID, from.Client)
	}
	return ownline.NotFound("passkey", "")
}
