// Package policy: who may reach what, and until when. It is a set of pure functions over
// plain values: no clock, no socket, no file, no log.
package policy
