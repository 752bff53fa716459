package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/util/jsonclient"
)

// failure is why a message did not arrive, in words that hold no secret.
type failure struct {
	text      string
	permanent bool          // trying again is of no use
	after     time.Duration // that the service wants us to wait
}

func (f *failure) Error() string { return f.text }

// answered is the failure of a service that answered with a status of HTTP.
func answered(status int) *failure {
	f := &failure{text: fmt.Sprintf("the service answered %d %s", status, http.StatusText(status))}
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusGone, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		f.permanent = true
	}
	return f
}

// statusWord finds a status of HTTP in the library's words, which often are all there is.
var statusWord = regexp.MustCompile(`\b[45]\d\d\b`)

// describe says what went wrong in our own words. Those of the library and of net/http hold
// the URL, and with it secrets; what is not known here is not shown.
func describe(err error) *failure {
	var f *failure
	var dns *net.DNSError
	var mail *textproto.Error
	var cert *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var status jsonclient.Error
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), isTimeout(err):
		return &failure{text: "the service did not answer in time"}
	case errors.Is(err, context.Canceled):
		return &failure{text: "it was stopped"}
	case errors.As(err, &dns):
		return &failure{text: "the name of the service's host can't be resolved"}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &failure{text: "the connection was refused"}
	case errors.Is(err, os.ErrNotExist):
		return &failure{text: "its socket is not there"}
	case errors.Is(err, os.ErrPermission):
		return &failure{text: "its socket may not be used"}
	case errors.As(err, &cert), errors.As(err, &unknown):
		return &failure{text: "the service's certificate can't be verified"}
	case errors.As(err, &mail):
		return &failure{text: fmt.Sprintf("the mail server answered %d", mail.Code), permanent: mail.Code >= 500}
	case errors.As(err, &status) && status.StatusCode >= 400:
		return answered(status.StatusCode)
	}
	// Some services keep nothing of an error but its words.
	for words, means := range map[string]error{
		"connection refused": syscall.ECONNREFUSED, "no such host": &net.DNSError{}, "Client.Timeout": context.DeadlineExceeded,
		"failed to verify certificate": &tls.CertificateVerificationError{},
	} {
		if strings.Contains(err.Error(), words) {
			return describe(means)
		}
	}
	for _, word := range statusWord.FindAllString(err.Error(), -1) {
		if code, aerr := strconv.Atoi(word); aerr == nil && http.StatusText(code) != "" {
			return answered(code)
		}
	}
	return &failure{text: "the service did not take the message"}
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}
