package embedded

import "github.com/ownline/ownline/internal/core/proxy/page"

type failure = page.Failure

var (
	badRequest  = &failure{Status: 400, Name: "bad-request", Title: "Bad request", Text: "The request is not one that can be passed on safely.", GRPC: 3}
	badPath     = &failure{Status: 400, Name: "bad-path", Title: "Bad path", Text: "The path leads out of what this service shows.", GRPC: 3}
	headTooLong = &failure{Status: 431, Name: "head-too-long", Title: "Request too long", Text: "The address, or the cookies and other headers, are too long. Deleting this site's cookies may help.", GRPC: 3}
	tooSlow     = &failure{Status: 408, Name: "too-slow", Title: "Request too slow", Text: "The request did not arrive in time.", GRPC: 4}
	badMethod   = &failure{Status: 501, Name: "bad-method", Title: "Unknown method", Text: "The request's method is not passed on.", GRPC: 12}
	wrongName   = &failure{Status: 421, Name: "wrong-name", Title: "Wrong name", Text: "This connection was made to another name. Open the page again.", GRPC: 3}
	sessionOver = &failure{Status: 403, Name: "session-over", Title: "Session over", Text: "Your session for this service has ended. Open a new one, then load the page again.", GRPC: 7}
	needsLogin  = &failure{Status: 403, Name: "needs-login", Title: "Login needed", Text: "This service may only be used after a login, which this router does not offer.", GRPC: 16}
	unreachable = &failure{Status: 502, Name: "unreachable", Title: "Service not reachable", Text: "The proxy works, but the service behind it takes no connections. It may be turned off.", GRPC: 14}
	notTrusted  = &failure{Status: 502, Name: "not-trusted", Title: "Service not trusted", Text: "The service behind the proxy did not prove with its certificate that it is the right one.", GRPC: 14}
	timedOut    = &failure{Status: 504, Name: "timed-out", Title: "Service timed out", Text: "The service behind the proxy did not answer in time.", GRPC: 4}
	badAnswer   = &failure{Status: 502, Name: "bad-answer", Title: "Service answered wrongly", Text: "What the service behind the proxy sent is no proper answer, or broke off.", GRPC: 14}
)
