package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/ownline/ownline/internal/ownline"
)

// What every app that makes codes understands: RFC 6238 with its defaults.
const (
	stepSeconds   = 30
	stepsAside    = 1 // that a clock may be wrong
	recoveryCodes = 10
)

// Code is a second factor that people type: one of the two.
type Code struct {
	TOTP     string // of the app
	Recovery string // one of those to write down
}

func (c Code) empty() bool { return c == Code{} }

func (c Code) method() ownline.LoginMethod {
	if c.TOTP == "" {
		return ownline.ByRecovery
	}
	return ownline.ByTOTP
}

// field is what the API calls it.
func (c Code) field() string {
	if c.TOTP == "" && c.Recovery != "" {
		return "recovery_code"
	}
	return "otp"
}

// SecondFactorError says that the password was right and a second factor is wanted. It is
// an ownline.ErrUnauthorized.
type SecondFactorError struct {
	Challenge string   // to be sent with the second factor
	Factors   []string // that will do: "totp", "recovery_code", "passkey"
}

// Error says that there is another step.
func (*SecondFactorError) Error() string { return "a second factor is needed" }

// Unwrap returns ownline.ErrUnauthorized.
func (*SecondFactorError) Unwrap() error { return ownline.ErrUnauthorized }

// enrolled returns the user's second factor if it counts, and whether it does.
func (a *Auth) enrolled(ctx context.Context, user ownline.UserID) (ownline.TOTP, bool, error) {
	f, err := a.store.TOTP(ctx, user)
	if errors.Is(err, ownline.ErrNotFound) {
		return f, false, nil
	}
	return f, f.Confirmed && err == nil, err
}

// step returns the step of time whose code this is, near now; ok is false when there is none.
func step(secret ownline.Secret, code string, now time.Time) (n int64, ok bool, err error) {
	code = strings.ReplaceAll(code, " ", "")
	encoded := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
	present := now.Unix() / stepSeconds
	for i := int64(-stepsAside); i <= stepsAside; i++ {
		want, err := totp.GenerateCodeCustom(encoded, time.Unix((present+i)*stepSeconds, 0), totp.ValidateOpts{Period: stepSeconds, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err != nil {
			return 0, false, err
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			n, ok = present+i, true
		}
	}
	return n, ok, nil
}

// useCode checks a code of the user and uses it up.
func (a *Auth) useCode(ctx context.Context, user ownline.UserID, f ownline.TOTP, code Code) (bool, error) {
	if code.TOTP == "" {
		return a.store.UseRecoveryCode(ctx, user, hashOf(plainRecovery(code.Recovery)))
	}
	n, ok, err := step(f.Secret, code.TOTP, time.Now())
	if err != nil || !ok {
		return false, err
	}
	return a.store.UseStep(ctx, user, n)
}

// newRecoveryCodes makes codes to show once, and their hashes: 80 random bits each, which
// need no slow hash.
func newRecoveryCodes() (codes []string, hashes [][]byte) {
	for range recoveryCodes {
		b := make([]byte, 10)
		rand.Read(b) // never fails: crypto/rand crashes the program instead
		s := strings.ToLower(base32.StdEncoding.EncodeToString(b))
		codes = append(codes, s[:4]+"-"+s[4:8]+"-"+s[8:12]+"-"+s[12:])
		hashes = append(hashes, hashOf(s))
	}
	return codes, hashes
}

// plainRecovery is a recovery code however it was written.
func plainRecovery(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// OfferTOTP makes the secret of a second factor for whoever asks, and returns it with the
// address that apps read. It does not count before ConfirmTOTP. Whoever did not sign in
// just now has to give their password.
func (a *Auth) OfferTOTP(ctx context.Context, id Identity, password string) (secret, uri string, err error) {
	if err := a.prove(ctx, id, password, Code{}, true); err != nil {
		return "", "", err
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: a.issuer(), AccountName: id.User.Name, Period: stepSeconds, SecretSize: 20, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		return "", "", err
	}
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(key.Secret())
	if err != nil {
		return "", "", err
	}
	if err := a.store.OfferTOTP(ctx, id.User.ID, raw, time.Now()); err != nil {
		return "", "", err
	}
	return key.Secret(), key.URL(), a.audit(ctx, id, "totp.offer", id.User.ID.String())
}

// ConfirmTOTP turns the second factor on by a code of the offered secret, and returns the
// recovery codes, which are shown this once.
func (a *Auth) ConfirmTOTP(ctx context.Context, id Identity, code string) ([]string, error) {
	f, err := a.store.TOTP(ctx, id.User.ID)
	if errors.Is(err, ownline.ErrNotFound) {
		return nil, ownline.Conflict("totp", "was not begun, or was given up meanwhile")
	} else if err != nil {
		return nil, err
	}
	n, ok, err := step(f.Secret, code, time.Now())
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, ownline.Invalid("otp", "is not the code that the app shows now; is the clock of the device right?")
	}
	codes, hashes := newRecoveryCodes()
	if err := a.store.ConfirmTOTP(ctx, id.User.ID, f.Created, n, hashes); err != nil {
		return nil, err
	}
	return codes, a.audit(ctx, id, "totp.on", id.User.ID.String())
}

// RemoveTOTP turns the second factor off, for a password or a code.
func (a *Auth) RemoveTOTP(ctx context.Context, id Identity, password string, code Code) error {
	if err := a.prove(ctx, id, password, code, false); err != nil {
		return err
	}
	if err := a.store.RemoveTOTP(ctx, id.User.ID); err != nil {
		return err
	}
	return a.audit(ctx, id, "totp.off", id.User.ID.String())
}

// NewRecoveryCodes replaces the recovery codes, for a password or a code.
func (a *Auth) NewRecoveryCodes(ctx context.Context, id Identity, password string, code Code) ([]string, error) {
	if _, on, err := a.enrolled(ctx, id.User.ID); err != nil {
		return nil, err
	} else if !on {
		return nil, ownline.Conflict("totp", "is off; recovery codes come with it")
	}
	if err := a.prove(ctx, id, password, code, false); err != nil {
		return nil, err
	}
	codes, hashes := newRecoveryCodes()
	if err := a.store.SetRecoveryCodes(ctx, id.User.ID, hashes); err != nil {
		return nil, err
	}
	return codes, a.audit(ctx, id, "totp.recovery_codes", id.User.ID.String())
}

// Factors is how a user may sign in.
type Factors struct {
	Password      bool // there is one
	TOTP          bool
	RecoveryCodes int // left
	Passkeys      int
}

// Factors returns those of whoever asks.
func (a *Auth) Factors(ctx context.Context, id Identity) (f Factors, err error) {
	_, hash, err := a.store.Password(ctx, id.User.ID)
	if err != nil {
		return f, err
	}
	f.Password = hash != ""
	if _, f.TOTP, err = a.enrolled(ctx, id.User.ID); err != nil {
		return f, err
	}
	if f.RecoveryCodes, err = a.store.CountRecoveryCodes(ctx, id.User.ID); err != nil {
		return f, err
	}
	ps, err := a.store.Passkeys(ctx, id.User.ID)
	f.Passkeys = len(ps)
	return f, err
}
