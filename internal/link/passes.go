package link

import (
	"net/http"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// Pass lets a browser that is signed in at web in to one service that requires a login. It
// ends with the login, with what the user may, and at its time.
type Pass struct {
	Login   ownline.LoginID   `json:"login"`
	Service ownline.ServiceID `json:"service"`
	User    string            `json:"user"`    // name, for logs
	Expires time.Time         `json:"expires"` // by web's clock
}

// Same reports whether both are of the same login at the same service.
func (p Pass) Same(o Pass) bool { return p.Login == o.Login && p.Service == o.Service }

const (
	// LoginPath is where core takes a code, at the host of the service; web sends browsers there.
	LoginPath = "/.ownline/login"
	// MaxTo bounds, in bytes, the path that a browser comes back to.
	MaxTo = 4096
)

// PutPass adds a pass, and the code for which core gives it to a browser: once, and only to
// the one that has what State is the hash of.
type PutPass struct {
	Stamp
	Pass
	Code  []byte `json:"code"`  // SHA-256 of it
	State []byte `json:"state"` // SHA-256 of what that browser got from core
}

func (s *Server) putPass(w http.ResponseWriter, r *http.Request) {
	var p PutPass
	if !decode(w, r, &p, maxPair) {
		return
	}
	reply(w, struct{}{}, s.commands.PutPass(r.Context(), p))
}
