// Package link is core ↔ web: the messages, and both ends of the authenticated connection
// by which web commands core. The protocol is described in spec/link-v1.md.
//
// Either end may open the connection; whoever did, web is the HTTP/2 client and core the
// server. Both ends show a self-signed certificate and pin the other's public key.
package link
