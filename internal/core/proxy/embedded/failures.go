package embedded

import "github.com/ownline/ownline/internal/core/proxy/page"

// What this driver alone can tell.
var (
	badPath    = &page.Failure{Status: 400, Name: "bad-path", Title: "Bad path", Text: "The path leads out of what this service shows.", GRPC: 3}
	notTrusted = &page.Failure{Status: 502, Name: "not-trusted", Title: "Service not trusted", Text: "The service behind the proxy did not prove with its certificate that it is the right one.", GRPC: 14}
	badAnswer  = &page.Failure{Status: 502, Name: "bad-answer", Title: "Service answered wrongly", Text: "What the service behind the proxy sent is no proper answer, or broke off.", GRPC: 14}
	badExpect  = &page.Failure{Status: 417, Name: "bad-expectation", Title: "Unknown expectation", Text: "The header Expect asks for something unknown.", GRPC: 3}
)
