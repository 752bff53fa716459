// Package auth is logins, tokens, cookies and throttling: it finds out who asks. What they
// may do then is not decided here.
//
// Passwords are kept as argon2id hashes, everything else that proves who somebody is (the
// value of a cookie, a bearer token) as its SHA-256: those are 32 random bytes, which need
// no slow hash.
package auth
