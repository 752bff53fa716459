package ownline

import "time"

// What a database keeps of how people get in, by hashes and with secrets, as another one
// can take it over.

// KeptToken is a token with the hash of its value.
type KeptToken struct {
	Token
	Hash []byte
}

// KeptTOTP is a user's second factor, which counts, with the hashes of the recovery codes.
type KeptTOTP struct {
	User UserID
	TOTP
	Codes [][]byte
}

// KeptInvitation is an invitation with the hash of its secret and what opens sealed redeems.
type KeptInvitation struct {
	Invitation
	Hash    []byte
	Unseals Secret // empty: nothing is answered any more
}

// KeptLink is who at an identity provider is which user.
type KeptLink struct {
	User            UserID
	Issuer, Subject string
	Created         time.Time
}
