package embedded

import "github.com/ownline/ownline/internal/core/proxy/page"

type failure = page.Failure

var (
	badRequest  = page.BadRequest
	badPath     = &failure{Status: 400, Name: "bad-path", Title: "Bad path", Text: "The path leads out of what this service shows.", GRPC: 3}
	headTooLong = page.HeadTooLong
	tooSlow     = page.TooSlow
	badMethod   = page.BadMethod
	wrongName   = page.WrongName
	sessionOver = page.SessionOver
	noLogins    = page.NoLogins
	unreachable = page.Unreachable
	notTrusted  = &failure{Status: 502, Name: "not-trusted", Title: "Service not trusted", Text: "The service behind the proxy did not prove with its certificate that it is the right one.", GRPC: 14}
	timedOut    = page.TimedOut
	badAnswer   = &failure{Status: 502, Name: "bad-answer", Title: "Service answered wrongly", Text: "What the service behind the proxy sent is no proper answer, or broke off.", GRPC: 14}
)
