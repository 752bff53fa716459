package link

import (
	"context"
	"net/http"
	"net/netip"
)

// Reacher is a core that tries targets.
type Reacher interface {
	// Reach connects to a target in the LAN by TCP and hangs up.
	Reach(context.Context, netip.AddrPort) (Reached, error)
}

func (s *Server) handleReach(mux *http.ServeMux) {
	core, ok := s.commands.(Reacher)
	if !ok {
		return
	}
	mux.Handle("POST /v1/reach", s.trusted(func(w http.ResponseWriter, r *http.Request) {
		var req Reach
		if decode(w, r, &req, maxPair) {
			reached, err := core.Reach(r.Context(), req.Target)
			reply(w, reached, err)
		}
	}))
}
