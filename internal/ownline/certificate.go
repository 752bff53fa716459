package ownline

import "time"

// BrokerCertificate is what the broker inside web shows, which a site's core had signed, and how
// far web is with the next one. The zero one is none.
type BrokerCertificate struct {
	Name  string // host name that it is for
	Site  string // name of the site, for people
	Key   Secret // DER of PKCS #8; web's own, it is nowhere else
	Chain string // PEM, its own certificate first
	Root  string // PEM of the router's own authority, which signed; "": another did, by ACME

	Asking   time.Time // one of web's replicas asks for the next one, until then at most; zero: none does
	Failures int       // in a row
	Problem  string    // of the last of them
	Tried    time.Time // when that was
	Next     time.Time // when it is to be tried again
}
