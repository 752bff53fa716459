// Package api is the REST API under /api/v1: one file per resource, thin over access. The
// OpenAPI document is made from the code and served beside it; spec/openapi.json is a copy
// that a test keeps equal.
//
// Errors are problem details (RFC 9457) that name the field: "body.target". State changes
// are taken from exactly our own origin, or with a bearer token.
package api
