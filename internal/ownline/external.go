package ownline

import "time"

// External is who somebody is at an identity provider.
type External struct {
	Issuer  string // the provider
	Subject string // never given to anybody else there
	Name    string // what they are called there; not to be relied on
	Role    Role   // "": the provider has no say in it
}

// ExternalLink is that a user may sign in by an identity provider.
type ExternalLink struct {
	Issuer  string
	Created time.Time
}
