//go:build noproxy

package link

import "net/http"

func (*Server) handleReach(*http.ServeMux) {}
