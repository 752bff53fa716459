package api

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"
	"github.com/pquerna/otp/totp"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/auth"
)

// browser signs in like a page of ours and keeps its cookie.
type browser struct {
	w      *world
	name   string
	cookie string
	from   string
}

func (w *world) browser(name string) *browser {
	return &browser{w: w, name: name, from: "198.51.100.7"}
}

func (b *browser) do(method, path string, body any) answer {
	b.w.t.Helper()
	headers := []string{"X-Forwarded-For", b.from, "User-Agent", b.name, "Origin", publicURL, "Sec-Fetch-Site", "same-origin"}
	if b.cookie != "" {
		headers = append(headers, "Cookie", b.cookie)
	}
	got := b.w.raw(method, path, body, headers...)
	for _, c := range (&http.Response{Header: got.header}).Cookies() {
		b.cookie = c.Name + "=" + c.Value
	}
	return got
}

func (b *browser) login(name, password string) answer {
	b.w.t.Helper()
	return b.do("POST", "/auth/login", map[string]any{"name": name, "password": password})
}

type refusal struct {
	Type      string
	Challenge string
	Factors   []string
}

func TestSecondFactor(t *testing.T) {
	w := newWorld(t)
	b := w.browser("firefox")
	b.login("ana", userPassword).want(200)
	offer := as[struct{ Secret, URI, QR string }](b.do("POST", "/me/totp", map[string]any{}), 200)
	if got := readQR(t, offer.QR); got != offer.URI {
		t.Errorf("the picture says %q", got)
	}
	code := func(aside time.Duration) string {
		c, err := totp.GenerateCode(offer.Secret, time.Now().Add(aside))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	b.do("POST", "/me/totp/confirm", map[string]any{"otp": "12"}).problem(422, "body.otp")
	recovery := as[codes](b.do("POST", "/me/totp/confirm", map[string]any{"otp": code(-30 * time.Second)}), 200).RecoveryCodes
	if len(recovery) != 10 || !strings.HasPrefix(offer.URI, "otpauth://totp/") {
		t.Errorf("got %q, %s", recovery, offer.URI)
	}
	if got := as[struct {
		TOTP          bool
		RecoveryCodes int `json:"recovery_codes"`
	}](b.do("GET", "/me/factors", nil), 200); !got.TOTP || got.RecoveryCodes != 10 {
		t.Errorf("got %+v", got)
	}

	other := w.browser("phone")
	first := as[refusal](other.login("ana", userPassword), 401)
	if first.Type != ownline.ProblemSecondFactor || first.Challenge == "" || !slices.Equal(first.Factors, []string{"totp", "recovery_code"}) || other.cookie != "" {
		t.Fatalf("got %+v, cookie %q", first, other.cookie)
	}
	if wrong := as[refusal](other.login("ana", "wrong"), 401); wrong.Type == ownline.ProblemSecondFactor || wrong.Challenge != "" {
		t.Errorf("a wrong password opens the second step: %+v", wrong)
	}
	other.do("POST", "/auth/second-factor", map[string]any{"challenge": first.Challenge, "otp": "000000"}).problem(401, "body.otp")
	other.do("POST", "/auth/second-factor", map[string]any{"challenge": "x" + first.Challenge, "otp": code(0)}).problem(403, "body.challenge")
	as[me](other.do("POST", "/auth/second-factor", map[string]any{"challenge": first.Challenge, "otp": code(0)}), 200)
	as[me](other.do("GET", "/me", nil), 200)

	// The command line: one step, and a code counts once here as well.
	ask := map[string]any{"name": "ana", "password": userPassword}
	if got := as[refusal](w.do("", "POST", "/auth/token", ask), 401); got.Type != ownline.ProblemSecondFactor {
		t.Errorf("got %+v", got)
	}
	ask["otp"] = code(0)
	w.do("", "POST", "/auth/token", ask).problem(401, "body.otp")
	ask["otp"], ask["recovery_code"] = "", recovery[3]
	issued := as[struct{ Token string }](w.do("", "POST", "/auth/token", ask), 200).Token
	w.do("", "POST", "/auth/token", ask).problem(401, "body.recovery_code")

	// Whoever has only a token can't change by what the user signs in.
	w.do(issued, "POST", "/me/totp/off", map[string]any{}).problem(403, "body.password")
	w.do(issued, "POST", "/me/passkeys/options", map[string]any{}).problem(403, "body.password")
	w.do(issued, "POST", "/me/totp/off", map[string]any{"password": "wrong"}).problem(403, "body.password")
	// An admin can take a lost one away; it signs the user out.
	w.do(w.bob, "DELETE", "/users/"+w.id(w.ana)+"/factors", nil).problem(403, "")
	w.do(w.admin, "DELETE", "/users/"+w.id(w.ana)+"/factors", nil).want(204)
	w.do(issued, "GET", "/me", nil).problem(401, "")
	b.do("GET", "/me", nil).problem(401, "")
	as[me](b.login("ana", userPassword), 200)
	if strings.Contains(w.log.String(), offer.Secret) || strings.Contains(w.log.String(), recovery[0]) {
		t.Error("the log holds a secret")
	}
}

func TestPasskeySignIn(t *testing.T) {
	w := newWorld(t)
	b := w.browser("firefox")
	ana := as[me](b.login("ana", userPassword), 200)
	id, err := ownline.ParseID[ownline.User](ana.ID)
	if err != nil {
		t.Fatal(err)
	}
	auth := virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{UserHandle: id[:]})
	key := newKey()
	raw := func(s string) map[string]any {
		var v map[string]any
		if err := json.Unmarshal([]byte(s), &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	offer := as[asked](b.do("POST", "/me/passkeys/options", map[string]any{}), 200)
	options, err := virtualwebauthn.ParseAttestationOptions(string(offer.Options))
	if err != nil {
		t.Fatal(err, string(offer.Options))
	}
	made := raw(virtualwebauthn.CreateAttestationResponse(party, auth, key, *options))
	b.do("POST", "/me/passkeys", map[string]any{"name": "key", "challenge": offer.Challenge, "credential": map[string]any{"id": "x"}}).problem(422, "body.credential")
	p := as[passkey](b.do("POST", "/me/passkeys", map[string]any{"name": "key", "challenge": offer.Challenge, "credential": made}), 201)
	w.do(w.bob, "PATCH", "/me/passkeys/"+p.ID, map[string]any{"name": "mine"}).problem(404, "path.id")
	if got := as[passkey](b.do("PATCH", "/me/passkeys/"+p.ID, map[string]any{"name": "blue key"}), 200); got.Name != "blue key" {
		t.Errorf("got %+v", got)
	}

	other := w.browser("phone")
	ask := as[asked](other.do("POST", "/auth/passkey/options", map[string]any{}), 200)
	get, err := virtualwebauthn.ParseAssertionOptions(string(ask.Options))
	if err != nil {
		t.Fatal(err)
	}
	signed := raw(virtualwebauthn.CreateAssertionResponse(party, auth, key, *get))
	if got := as[me](other.do("POST", "/auth/passkey", map[string]any{"challenge": ask.Challenge, "credential": signed}), 200); got.Name != "ana" {
		t.Errorf("got %+v", got)
	}
	other.do("POST", "/auth/passkey", map[string]any{"challenge": ask.Challenge, "credential": signed}).problem(403, "body.challenge")
	as[me](other.do("GET", "/me", nil), 200)
	b.do("DELETE", "/me/passkeys/"+p.ID, nil).want(204)
	if n := w.count(w.ana, "/me/passkeys"); n != 0 {
		t.Errorf("%d passkeys left", n)
	}
}

// A password that an admin has set is good for one thing: choosing another.
func TestMustChangePassword(t *testing.T) {
	w := newWorld(t)
	const set, own = "set by the admin", "chosen by eve herself"
	as[user](w.do(w.admin, "POST", "/users", map[string]any{"name": "eve", "password": set}), 201)
	b := w.browser("firefox")
	if got := as[me](b.login("eve", set), 200); !got.MustChange {
		t.Error("need not change it")
	}
	issued := as[struct {
		Token      string
		MustChange bool `json:"must_change_password"`
	}](w.do("", "POST", "/auth/token", map[string]any{"name": "eve", "password": set}), 200)
	if !issued.MustChange {
		t.Error("the command line is not told")
	}
	refused := 0
	for path, item := range w.api.huma.OpenAPI().Paths {
		if item.Get == nil || strings.Contains(path, "{") || item.Get.Extensions[whoKey] == anybody || path == base+"/me" {
			continue
		}
		for _, got := range []answer{b.do("GET", strings.TrimPrefix(path, base), nil), w.do(issued.Token, "GET", strings.TrimPrefix(path, base), nil)} {
			var p refusal
			if err := json.Unmarshal(got.body, &p); err != nil || got.status != 403 || p.Type != ownline.ProblemChangePassword {
				t.Errorf("%s: %d %s", path, got.status, got.body)
			}
			refused++
		}
	}
	if refused < 10 {
		t.Errorf("only %d were refused", refused)
	}
	as[me](b.do("GET", "/me", nil), 200)
	b.do("PUT", "/me/password", map[string]any{"current": "wrong", "password": own}).problem(403, "body.current")
	b.do("PUT", "/me/password", map[string]any{"current": set, "password": "short"}).problem(422, "body.password")
	b.do("PUT", "/me/password", map[string]any{"current": set, "password": set}).problem(422, "body.password")
	w.count(w.admin, "/users")
	b.do("PUT", "/me/password", map[string]any{"current": set, "password": own, "tokens": true}).want(204)
	if got := as[me](b.do("GET", "/me", nil), 200); got.MustChange {
		t.Error("must change it again")
	}
	as[list[any]](b.do("GET", "/sessions", nil), 200)
	w.do(issued.Token, "GET", "/me", nil).problem(401, "")
	w.do("", "POST", "/auth/token", map[string]any{"name": "eve", "password": set}).problem(401, "")

	// Whoever resets it has it changed again; nobody does that to themselves without the
	// present one.
	eve := as[me](b.do("GET", "/me", nil), 200).ID
	if got := as[user](w.do(w.admin, "PATCH", "/users/"+eve, map[string]any{"password": set}), 200); !got.MustChange {
		t.Error("a reset password is for good")
	}
	w.do(w.admin, "PATCH", "/users/"+w.id(w.admin), map[string]any{"password": "another good one"}).problem(422, "body.password")
}

func TestLogins(t *testing.T) {
	w := newWorld(t)
	b, other, bob := w.browser("firefox"), w.browser("phone"), w.browser("bob's")
	other.from = "203.0.113.9"
	other.login("ana", "wrong").problem(401, "")
	other.login("ana", "wrong too").problem(401, "")
	other.login("my secret", "typed where the name belongs").problem(401, "")
	b.login("ana", userPassword).want(200)
	other.login("ana", userPassword).want(200)
	bob.login("bob", userPassword).want(200)

	mine := as[list[login]](b.do("GET", "/logins", nil), 200).Items
	if len(mine) != 2 || mine[0].Agent != "phone" || mine[0].Address != "203.0.113.9" || mine[0].Current || !mine[1].Current || mine[1].Method != "password" {
		t.Errorf("got %+v", mine)
	}
	tries := as[list[loginAttempt]](b.do("GET", "/logins/attempts", nil), 200).Items
	var got []string
	for _, a := range tries {
		got = append(got, a.Result+" "+a.Agent)
	}
	if !slices.Equal(got, []string{"ok phone", "ok firefox", "wrong_password phone", "ok Go-http-client/1.1"}) || tries[2].Count != 2 {
		t.Errorf("got %q", got)
	}
	if n := len(as[list[loginAttempt]](b.do("GET", "/logins/attempts?result=wrong_password&method=password&limit=1", nil), 200).Items); n != 1 {
		t.Errorf("%d with that result", n)
	}
	everybody := w.do(w.admin, "GET", "/logins/attempts?all=true", nil).want(200)
	if strings.Contains(string(everybody.body), "secret") {
		t.Error("what was typed is kept")
	}
	if n := len(as[list[loginAttempt]](everybody, 200).Items); n != 8 {
		t.Errorf("the admin sees %d", n)
	}
	if n := w.count(w.admin, "/logins?user="+w.id(w.ana)); n != 2 {
		t.Errorf("the admin sees %d of ana's", n)
	}
	bob.do("GET", "/logins?all=true", nil).problem(403, "query.all")
	bob.do("GET", "/logins?user="+w.id(w.ana), nil).problem(404, "")
	bob.do("DELETE", "/logins/"+mine[0].ID, nil).problem(404, "path.id")
	bob.do("DELETE", "/logins?user="+w.id(w.ana), nil).problem(404, "")

	b.do("DELETE", "/logins/"+mine[0].ID, nil).want(204)
	other.do("GET", "/me", nil).problem(401, "")
	other.login("ana", userPassword).want(200)
	if got := as[struct{ Ended int }](b.do("DELETE", "/logins", nil), 200); got.Ended != 1 {
		t.Errorf("got %+v", got)
	}
	other.do("GET", "/me", nil).problem(401, "")
	as[me](b.do("GET", "/me", nil), 200)
	as[me](w.do(w.ana, "GET", "/me", nil), 200)
	if got := as[struct{ Ended int }](b.do("DELETE", "/logins?tokens=true", nil), 200); got.Ended != 1 {
		t.Errorf("got %+v", got)
	}
	w.do(w.ana, "GET", "/me", nil).problem(401, "")
	w.do(w.admin, "DELETE", "/logins?user="+w.id(w.bob), nil).want(200)
	bob.do("GET", "/me", nil).problem(401, "")
}

// A hash from elsewhere lets its user in once, and is argon2id from then on.
func TestForeignHash(t *testing.T) {
	w := newWorld(t)
	// hashlib.pbkdf2_hmac("sha256", b"an old password", b"S4lt", 2000).hex()
	const hash = "pbkdf2:sha256:2000$S4lt$33d2d66b104e1496d2a63a422f2b19224330937b14b1a457c6a548227842b7ac"
	u, err := w.access.AddUser(t.Context(), access.Command(), access.NewUser{Name: "old", Hash: hash})
	if err != nil {
		t.Fatal(err)
	}
	b := w.browser("firefox")
	b.login("old", "another password").problem(401, "")
	if got := as[me](b.login("old", "an old password"), 200); got.MustChange {
		t.Error("a good password must be changed")
	}
	if _, kept, err := w.store.Password(t.Context(), u.ID); err != nil || !strings.HasPrefix(kept, "$argon2id$") {
		t.Errorf("kept as %q, %v", kept, err)
	}
	as[me](b.login("old", "an old password"), 200)
}

// The sign-in page asks for a passkey only where there can be one: a refusal would stand in the browser's console.
func TestMethodsTellOfPasskeys(t *testing.T) {
	w := newWorld(t)
	asked := func() bool {
		return as[struct{ Passkeys bool }](w.do("", "GET", "/auth/methods", nil), 200).Passkeys
	}
	if !asked() {
		t.Error("with a public_url there are none")
	}
	w.options.PublicURL = ""
	w.api.auth = auth.New(w.options)
	if asked() {
		t.Error("without a public_url there are some")
	}
	w.do("", "POST", "/auth/passkey/options", map[string]any{}).want(409)
}
