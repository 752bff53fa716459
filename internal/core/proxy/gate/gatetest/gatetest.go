// Package gatetest holds the drivers of nginx and Caddy to what the gate's badges promise, with the real
// servers.
package gatetest
