package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/auth"
)

type passkey struct {
	ID       string     `json:"id" format:"uuid"`
	Name     string     `json:"name"`
	Created  time.Time  `json:"created"`
	LastUsed *time.Time `json:"last_used,omitempty"`
	Cloned   bool       `json:"cloned" doc:"It may have been copied, and does not count any more"`
}

func passkeyView(p ownline.Passkey) passkey {
	return passkey{ID: p.ID.String(), Name: p.Name, Created: p.Created.UTC(), LastUsed: optional(p.LastUsed), Cloned: p.Cloned}
}

// Proof shows that it is the user who asks, and not somebody who found their browser open.
type Proof struct {
	Password string `json:"password,omitempty" maxLength:"1024" doc:"The user's own"`
	Code
}

type codes struct {
	RecoveryCodes []string `json:"recovery_codes" nullable:"false" doc:"Each is good once, in place of the app's code. Shown only now"`
}

// factors are what users prove who they are by, beside and including the password.
func (s *Server) factors() {
	const tag = "me"
	// Whoever has only a part of a user's rights must not be able to get at the whole.
	full := []string{ownline.ScopeAdmin}
	op := func(method, path, id string, status int, summary string) operation {
		o := operation{method: method, path: "/me" + path, id: id, who: users, scope: full, tag: tag, status: status, summary: summary}
		if !safe(method) {
			o.fails = []int{http.StatusConflict, http.StatusTooManyRequests}
		}
		return o
	}

	type passwordChange struct {
		Current  string `json:"current" maxLength:"1024"`
		Password string `json:"password" maxLength:"1024" doc:"The new one: at least 12 characters"`
		Tokens   bool   `json:"tokens,omitempty" doc:"Make the bearer tokens worthless, too"`
	}
	change := op(http.MethodPut, "/password", "change-password", http.StatusNoContent, "Change one's own password, and sign out everywhere else")
	change.restricted = true
	register(s, change, func(ctx context.Context, id auth.Identity, in *body[passwordChange]) (*struct{}, error) {
		return nil, s.auth.ChangePassword(ctx, id, in.Body.Current, in.Body.Password, in.Body.Tokens)
	})

	type factors struct {
		Password      bool   `json:"password" doc:"There is one; whoever came by the identity provider alone has none"`
		TOTP          bool   `json:"totp" doc:"The password alone does not let in: a code or a passkey is wanted, too"`
		RecoveryCodes int    `json:"recovery_codes" doc:"How many are left"`
		Passkeys      int    `json:"passkeys" doc:"How many there are"`
		PasskeysOff   string `json:"passkeys_off,omitempty" doc:"Why there can be no passkeys; absent: there can"`
	}
	seeing := op(http.MethodGet, "/factors", "factors", 0, "By what one signs in, and by what beside the password")
	seeing.scope = []string{ownline.ScopeRead}
	register(s, seeing, func(ctx context.Context, id auth.Identity, _ *noInput) (*output[factors], error) {
		f, err := s.auth.Factors(ctx, id)
		out := factors{Password: f.Password, TOTP: f.TOTP, RecoveryCodes: f.RecoveryCodes, Passkeys: f.Passkeys}
		if off := s.auth.PasskeysOff(); off != nil {
			out.PasskeysOff = off.Error()
		}
		return show(out), err
	})

	type offered struct {
		Secret string `json:"secret" doc:"For typing into an app that makes codes. Shown only now"`
		URI    string `json:"uri" doc:"The same as an address that apps read"`
		QR     string `json:"qr" doc:"The address as a QR code, an SVG image. Shown only now" example:"<svg viewBox=\"0 0 53 53\">…</svg>"`
	}
	register(s, op(http.MethodPost, "/totp", "offer-totp", 0, "Begin to turn the second factor on. It counts once a code was confirmed"),
		func(ctx context.Context, id auth.Identity, in *body[Proof]) (*output[offered], error) {
			secret, uri, err := s.auth.OfferTOTP(ctx, id, in.Body.Password)
			if err != nil {
				return nil, err
			}
			svg, err := qrSVG(uri)
			return show(offered{secret, uri, svg}), err
		})
	type confirmation struct {
		TOTP string `json:"otp" maxLength:"16" doc:"The six digits that the app shows now"`
	}
	register(s, op(http.MethodPost, "/totp/confirm", "confirm-totp", 0, "Turn the second factor on by a code of the app"),
		func(ctx context.Context, id auth.Identity, in *body[confirmation]) (*output[codes], error) {
			list, err := s.auth.ConfirmTOTP(ctx, id, in.Body.TOTP)
			return show(codes{list}), err
		})
	register(s, op(http.MethodPost, "/totp/off", "remove-totp", http.StatusNoContent, "Turn the second factor off, for the password or a code"),
		func(ctx context.Context, id auth.Identity, in *body[Proof]) (*struct{}, error) {
			return nil, s.auth.RemoveTOTP(ctx, id, in.Body.Password, in.Body.code())
		})
	register(s, op(http.MethodPost, "/recovery-codes", "new-recovery-codes", 0, "Replace the recovery codes, for the password or a code"),
		func(ctx context.Context, id auth.Identity, in *body[Proof]) (*output[codes], error) {
			list, err := s.auth.NewRecoveryCodes(ctx, id, in.Body.Password, in.Body.code())
			return show(codes{list}), err
		})

	listing := op(http.MethodGet, "/passkeys", "list-passkeys", 0, "List one's passkeys")
	listing.scope = []string{ownline.ScopeRead}
	register(s, listing, func(ctx context.Context, id auth.Identity, _ *noInput) (*output[list[passkey]], error) {
		items, err := s.auth.Passkeys(ctx, id)
		return listOf(items, "", passkeyView), err
	})
	register(s, op(http.MethodPost, "/passkeys/options", "offer-passkey", 0, "Begin to register a passkey: what navigator.credentials.create needs. Whoever did not sign in just now gives the password or a code"),
		func(ctx context.Context, id auth.Identity, in *body[Proof]) (*output[ceremony], error) {
			c, err := s.auth.OfferPasskey(ctx, id, in.Body.Password, in.Body.code())
			return show(ceremony{c.Challenge, c.Options}), err
		})
	type newPasskey struct {
		Name       string         `json:"name" maxLength:"64" example:"blue key"`
		Challenge  string         `json:"challenge" maxLength:"8192" doc:"What came with the options"`
		Credential map[string]any `json:"credential" doc:"What the authenticator answered, by toJSON()"`
	}
	register(s, op(http.MethodPost, "/passkeys", "add-passkey", http.StatusCreated, "Register a passkey"),
		func(ctx context.Context, id auth.Identity, in *body[newPasskey]) (*output[passkey], error) {
			answer, err := json.Marshal(in.Body.Credential)
			if err != nil {
				return nil, err
			}
			p, err := s.auth.AddPasskey(ctx, id, in.Body.Challenge, in.Body.Name, answer)
			return show(passkeyView(p)), err
		})
	type rename struct {
		Name string `json:"name" maxLength:"64"`
	}
	register(s, op(http.MethodPatch, "/passkeys/{id}", "rename-passkey", 0, "Rename a passkey"),
		func(ctx context.Context, id auth.Identity, in *bodyByID[rename]) (*output[passkey], error) {
			pid, err := parseID[ownline.Passkey]("id", in.ID)
			if err != nil {
				return nil, err
			}
			p, err := s.auth.RenamePasskey(ctx, id, pid, in.Body.Name)
			return show(passkeyView(p)), err
		})
	register(s, op(http.MethodDelete, "/passkeys/{id}", "remove-passkey", http.StatusNoContent, "Make a passkey worthless"),
		func(ctx context.Context, id auth.Identity, in *ByID) (*struct{}, error) {
			pid, err := parseID[ownline.Passkey]("id", in.ID)
			if err != nil {
				return nil, err
			}
			return nil, s.auth.RemovePasskey(ctx, id, pid)
		})
}
