package page

// What every driver has to say.
var (
	BadRequest  = &Failure{Status: 400, Name: "bad-request", Title: "Bad request", Text: "The request is not one that can be passed on safely.", GRPC: 3}
	HeadTooLong = &Failure{Status: 431, Name: "head-too-long", Title: "Request too long", Text: "The address, or the cookies and other headers, are too long. Deleting this site's cookies may help.", GRPC: 3}
	TooSlow     = &Failure{Status: 408, Name: "too-slow", Title: "Request too slow", Text: "The request did not arrive in time.", GRPC: 4}
	BadMethod   = &Failure{Status: 501, Name: "bad-method", Title: "Unknown method", Text: "The request's method is not passed on.", GRPC: 12}
	WrongName   = &Failure{Status: 421, Name: "wrong-name", Title: "Wrong name", Text: "This connection was made to another name. Open the page again.", GRPC: 3}
	SessionOver = &Failure{Status: 403, Name: "session-over", Title: "Session over", Text: "Your session for this service has ended. Open a new one, then load the page again.", GRPC: 7}
	Unreachable = &Failure{Status: 502, Name: "unreachable", Title: "Service not reachable", Text: "The proxy works, but the service behind it takes no connections. It may be turned off.", GRPC: 14}
	Nothing     = &Failure{Status: 404, Name: "not-found", Title: "Not found", Text: "There is nothing here.", GRPC: 5}
	TimedOut    = &Failure{Status: 504, Name: "timed-out", Title: "Service timed out", Text: "The service behind the proxy did not answer in time.", GRPC: 4}
	// NoLogins fails closed: nobody has told the driver, or the gate, who is logged in.
	NoLogins = &Failure{Status: 403, Name: "needs-login", Title: "Login needed", Text: "This service may only be used after a login, which this router does not offer.", GRPC: 16}
	// Away is for servers that ask core who may come in.
	Away = &Failure{Status: 503, Name: "router-away", Title: "Router does not answer", Text: "Ownline on the router is not running, is just starting, or changes this service just now. Nobody gets in until that is over.", GRPC: 14}
)
