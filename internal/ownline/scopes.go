package ownline

// The scopes of bearer tokens: what a token may do of all that its user may. A token has at
// least one; they add up. What isn't among them counts for nothing.
const (
	ScopeFull        = "full"        // everything
	ScopeRead        = "read"        // see all that the user may see, and change nothing
	ScopeSessions    = "sessions"    // see one's services and sites; open, renew and close one's own sessions
	ScopeDevices     = "devices"     // see, add, change and revoke one's own devices
	ScopeInvitations = "invitations" // see, make and revoke one's own invitations
	ScopeTokens      = "tokens"      // see, make and revoke one's own tokens, with no more scopes than this one's
	ScopeAdmin       = "admin"       // what only admins may, and others' things as one's own; for tokens of admins
)

// Scopes lists every scope.
func Scopes() []string {
	return []string{ScopeFull, ScopeRead, ScopeSessions, ScopeDevices, ScopeInvitations, ScopeTokens, ScopeAdmin}
}
