package link

import (
	"context"
	"net/http"
)

// CertificateRequest asks for a certificate, from where those of core's proxy come, for a key
// that web has made and keeps: no private key crosses the link.
type CertificateRequest struct {
	CSR []byte `json:"csr"` // DER of PKCS #10
}

// Certificate is what was signed.
type Certificate struct {
	Chain string `json:"chain"`          // PEM: the certificate, then those that lead to its root
	Root  string `json:"root,omitempty"` // PEM of core's own authority; "": the certificate is of another
}

// Certify has core get a certificate. That may take minutes. Its error is ErrUnknownRequest
// when core is too old.
func (c *Client) Certify(ctx context.Context, r CertificateRequest) (Certificate, error) {
	var got Certificate
	return got, c.call(ctx, "POST", "/v1/certificates", r, &got)
}

// Certifier gets certificates for keys of web's.
type Certifier interface {
	Certify(context.Context, CertificateRequest) (Certificate, error)
}

// Certifies has web's requests for certificates go to c. Call it before the server serves. It is
// none of Commands so that a core without the proxy, for small routers, has nothing of it.
func (s *Server) Certifies(c Certifier) {
	s.mux.Handle("POST /v1/certificates", s.trusted(func(w http.ResponseWriter, r *http.Request) {
		var req CertificateRequest
		if decode(w, r, &req, maxPair) {
			got, err := c.Certify(r.Context(), req)
			reply(w, got, err)
		}
	}))
}
