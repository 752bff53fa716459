// Package schemathesis holds the API against its own description, from the outside: a tool
// makes requests out of the OpenAPI document, good and bad ones, and judges the answers by it.
package schemathesis
