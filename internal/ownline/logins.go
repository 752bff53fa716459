package ownline

import (
	"net/netip"
	"time"
)

// Login is a browser that is signed in.
type Login struct {
	ID      LoginID
	User    UserID
	Method  LoginMethod
	Client  netip.Addr // where it signed in from
	Agent   string     // what the browser says that it is
	Created time.Time
	Seen    time.Time // about when it was last used
	Expires time.Time
}

// Pass lets a login in at a service that has ProxyOptions.RequireLogin.
type Pass struct {
	Login   LoginID
	User    UserID
	Service ServiceID
	Expires time.Time
}

// PassInfo is a pass with its user's name.
type PassInfo struct {
	Pass
	UserName string
}

// LoginMethod tells how somebody proved who they are.
type LoginMethod string

// The ways to sign in.
const (
	ByPassword LoginMethod = "password"
	ByTOTP     LoginMethod = "totp"          // password and a code of an app
	ByRecovery LoginMethod = "recovery_code" // password and a recovery code
	ByPasskey  LoginMethod = "passkey"       // alone, or after the password
	ByOIDC     LoginMethod = "oidc"          // an identity provider said so
	BySetup    LoginMethod = "setup"         // the link of a first start
)

// LoginResult tells how a try to sign in went.
type LoginResult string

// The results of a try to sign in.
const (
	LoginOK       LoginResult = "ok"
	WrongPassword LoginResult = "wrong_password" // or no such user, or one who is disabled
	WrongCode     LoginResult = "wrong_code"     // after the right password
	WrongPasskey  LoginResult = "wrong_passkey"
	Throttled     LoginResult = "throttled"
	Refused       LoginResult = "refused" // proved, but may not sign in
)

// LoginAttempt is a try to sign in, or several that are alike and close together.
type LoginAttempt struct {
	ID       AttemptID
	User     UserID // zero: the name that was given is nobody's
	UserName string // only in lists
	At       time.Time
	Latest   time.Time // of several
	Count    int
	Method   LoginMethod
	Result   LoginResult
	Client   netip.Addr
	Place    netip.Prefix // what one stranger holds around Client: tries from there count together
	Agent    string
}

// LoginInfo is a login with its user's name.
type LoginInfo struct {
	Login
	UserName string
}

// LoginQuery selects logins; zero fields select all.
type LoginQuery struct {
	Page
	User UserID
}

// AttemptQuery selects tries to sign in; zero fields select all.
type AttemptQuery struct {
	Page
	User   UserID
	Method LoginMethod
	Result LoginResult
	Since  time.Time // tries of this time or later
	Until  time.Time // tries before this time
}

// TOTP is a user's second factor: an app that makes codes of the time and a secret.
type TOTP struct {
	Secret    Secret
	Confirmed bool  // a code was given; before, it does not count
	LastStep  int64 // codes of this step of time or before it count no more
	Created   time.Time
}

// Passkey is what is kept of a credential of an authenticator: nothing of it is secret.
type Passkey struct {
	ID         PasskeyID
	User       UserID
	Name       string
	Credential []byte // the identifier that the authenticator gave it
	Data       []byte // public key, counter and flags
	Cloned     bool   // its counter went backwards: there may be two of it
	Created    time.Time
	LastUsed   time.Time // zero: never
}
