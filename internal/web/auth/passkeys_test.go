package auth

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

	"github.com/ownline/ownline/internal/ownline"
)

const publicURL = "https://own.example.org:9999"

// authenticator is a virtual one in a browser on a page of ours.
type authenticator struct {
	t     *testing.T
	party virtualwebauthn.RelyingParty
	auth  virtualwebauthn.Authenticator
	key   virtualwebauthn.Credential
}

func newAuthenticator(t *testing.T, user ownline.User) *authenticator {
	id := user.ID
	return &authenticator{
		t:     t,
		party: virtualwebauthn.RelyingParty{Name: "Ownline", ID: "own.example.org", Origin: publicURL},
		auth:  virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{UserHandle: id[:]}),
		key:   newKey(),
	}
}

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

func optionsJSON(t *testing.T, c Ceremony) string {
	t.Helper()
	b, err := json.Marshal(c.Options)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (k *authenticator) create(c Ceremony) []byte {
	k.t.Helper()
	o, err := virtualwebauthn.ParseAttestationOptions(optionsJSON(k.t, c))
	if err != nil {
		k.t.Fatal(err)
	}
	return []byte(virtualwebauthn.CreateAttestationResponse(k.party, k.auth, k.key, *o))
}

// answer signs what it is asked; its counter goes up.
func (k *authenticator) answer(c Ceremony) []byte {
	k.t.Helper()
	o, err := virtualwebauthn.ParseAssertionOptions(optionsJSON(k.t, c))
	if err != nil {
		k.t.Fatal(err)
	}
	k.key.Counter++
	return []byte(virtualwebauthn.CreateAssertionResponse(k.party, k.auth, k.key, *o))
}

// fresh is a request of a user who has just signed in from home.
func fresh(u ownline.User) Identity {
	id := at(home)
	id.User, id.Login, id.began = u, ownline.NewID[ownline.Login](), time.Now()
	return id
}

// register registers the authenticator's key for a user.
func register(t *testing.T, a *Auth, u ownline.User, k *authenticator) ownline.Passkey {
	t.Helper()
	c, err := a.OfferPasskey(t.Context(), fresh(u), "", Code{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := a.AddPasskey(t.Context(), fresh(u), c.Challenge, " blue key ", k.create(c))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPasskey(t *testing.T) {
	a, st, ana := newAuth(t)
	bob := addUser(t, st, ownline.User{Name: "bob"})
	ctx := t.Context()
	k := newAuthenticator(t, ana)
	p := register(t, a, ana, k)
	if p.Name != "blue key" {
		t.Errorf("got the name %q", p.Name)
	}
	if _, err := a.AddPasskey(ctx, fresh(bob), must(a.OfferPasskey(ctx, fresh(ana), "", Code{})).Challenge, "x", nil); !errors.Is(err, ownline.ErrForbidden) {
		t.Errorf("bob takes ana's turn: %v", err)
	}

	// Nobody types a name.
	ask := must(a.AskPasskey(ctx, "", at(stranger)))
	answer := k.answer(ask)
	if u, err := a.CheckPasskey(ctx, ask.Challenge, answer, at(stranger)); err != nil || u.ID != ana.ID {
		t.Fatalf("got %v, %v", u, err)
	}
	ps := must(a.Passkeys(ctx, fresh(ana)))
	if len(ps) != 1 || ps[0].LastUsed.IsZero() {
		t.Errorf("got %+v", ps)
	}
	if _, err := a.CheckPasskey(ctx, ask.Challenge, answer, at(stranger)); err == nil {
		t.Error("an answer counted twice")
	}
	wrong := func(what string, change func(k *authenticator), from Identity) {
		t.Helper()
		other := *k
		change(&other)
		ask := must(a.AskPasskey(ctx, "", at(stranger)))
		if _, err := a.CheckPasskey(ctx, ask.Challenge, other.answer(ask), from); err == nil {
			t.Errorf("%s counts", what)
		}
	}
	k.key.Counter += 10 // each copy is one ahead
	wrong("another key", func(k *authenticator) {
		id := k.key.ID
		k.key = newKey()
		k.key.ID = id
	}, at(stranger))
	wrong("another page", func(k *authenticator) { k.party.Origin = "https://evil.example" }, at(stranger))
	wrong("another server", func(k *authenticator) { k.party.ID = "evil.example" }, at(stranger))
	wrong("a locked authenticator", func(k *authenticator) { k.auth.Options.UserNotVerified = true }, at(stranger))
	wrong("somebody else's name", func(k *authenticator) { k.auth.Options.UserHandle = bob.ID[:] }, at(stranger))
	wrong("a client at another place", func(*authenticator) {}, at(home))

	// The right one is never made to wait, whatever others try from the same address.
	for range 10 {
		wrong("another page", func(k *authenticator) { k.party.Origin = "https://evil.example" }, at(stranger))
	}
	ask = must(a.AskPasskey(ctx, "", at(stranger)))
	if _, err := a.CheckPasskey(ctx, ask.Challenge, k.answer(ask), at(stranger)); err != nil {
		t.Errorf("the right one after many wrong: %v", err)
	}

	if err := a.RemovePasskey(ctx, fresh(bob), p.ID); !errors.Is(err, ownline.ErrNotFound) {
		t.Errorf("bob removes ana's: %v", err)
	}
	if err := a.RemovePasskey(ctx, fresh(ana), p.ID); err != nil {
		t.Fatal(err)
	}
	ask = must(a.AskPasskey(ctx, "", at(stranger)))
	if _, err := a.CheckPasskey(ctx, ask.Challenge, k.answer(ask), at(stranger)); !errors.Is(err, ownline.ErrUnauthorized) && !errors.Is(err, ownline.ErrThrottled) {
		t.Errorf("one that was removed: %v", err)
	}
}

// A counter that goes backwards: there are two of the authenticator.
func TestCopiedPasskey(t *testing.T) {
	a, st, ana := newAuth(t)
	ctx := t.Context()
	k := newAuthenticator(t, ana)
	p := register(t, a, ana, k)
	use := func(k *authenticator) error {
		ask := must(a.AskPasskey(ctx, "", at(home)))
		_, err := a.CheckPasskey(ctx, ask.Challenge, k.answer(ask), at(home))
		return err
	}
	thief := *k
	if err := use(k); err != nil {
		t.Fatal(err)
	}
	if err := use(&thief); !errors.Is(err, ownline.ErrUnauthorized) {
		t.Errorf("the copy: %v", err)
	}
	if err := use(k); !errors.Is(err, ownline.ErrUnauthorized) {
		t.Errorf("the other one, which may be the copy as well: %v", err)
	}
	if ps := must(a.Passkeys(ctx, fresh(ana))); !ps[0].Cloned {
		t.Error("is not marked")
	}
	if st.audit[len(st.audit)-1] != "login passkey.cloned "+p.ID.String() {
		t.Errorf("audit has %q", st.audit)
	}
}

func TestPasskeyAsSecondFactor(t *testing.T) {
	a, st, ana := newAuth(t)
	bob := addUser(t, st, ownline.User{Name: "bob"})
	ctx := t.Context()
	k, bobs := newAuthenticator(t, ana), newAuthenticator(t, bob)
	k.auth.Options.UserNotVerified = false
	register(t, a, ana, k)
	register(t, a, bob, bobs)
	if _, _, err := a.Check(ctx, "ana", goodPassword, Code{}, at(home)); err != nil {
		t.Fatalf("passkeys alone turn no second factor on: %v", err)
	}
	turnOn(t, a, ana)
	challenge := wanted(t, a, "ana", "totp", "recovery_code", "passkey")

	ask := must(a.AskPasskey(ctx, challenge, at(home)))
	if _, err := a.CheckPasskey(ctx, ask.Challenge, bobs.answer(ask), at(home)); err == nil {
		t.Error("bob's passkey is ana's second factor")
	}
	k.auth.Options.UserNotVerified = true // the password was given: a touch will do
	answer := k.answer(ask)
	if u, err := a.CheckPasskey(ctx, ask.Challenge, answer, at(home)); err != nil || u.ID != ana.ID {
		t.Fatalf("got %v, %v", u, err)
	}
	if _, err := a.AskPasskey(ctx, "x"+challenge, at(home)); !errors.Is(err, ownline.ErrForbidden) {
		t.Errorf("a made-up challenge: %v", err)
	}
	// The first step is used up by the second.
	ask = must(a.AskPasskey(ctx, challenge, at(home)))
	if _, err := a.CheckPasskey(ctx, ask.Challenge, k.answer(ask), at(home)); !errors.Is(err, ownline.ErrForbidden) {
		t.Errorf("one challenge, two logins: %v", err)
	}
}

func TestWherePasskeysWork(t *testing.T) {
	for address, ok := range map[string]bool{
		"https://own.example.org": true, "https://own.example.org:9999": true, "http://localhost:8080": true,
		"": false, "http://own.example.org": false, "https://192.0.2.1": false, "http://127.0.0.1:8080": false, "https://[2001:db8::1]": false,
	} {
		a := New(Options{PublicURL: address})
		if !ok {
			_, err := a.AskPasskey(t.Context(), "", Identity{})
			fe, _ := errors.AsType[*ownline.FieldError](err)
			if !errors.Is(err, ownline.ErrConflict) || fe.Field != "public_url" {
				t.Errorf("%q: %v", address, err)
			}
		}
		if (a.PasskeysOff() == nil) != ok {
			t.Errorf("%q: %v", address, a.PasskeysOff())
		}
	}
}
