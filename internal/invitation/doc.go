// Package invitation is the secret of an invitation's link, and the sealed messages with which
// it is redeemed through a broker: bytes in, value out. The contract is spec/invitation-v1.md.
package invitation
