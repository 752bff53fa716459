// Package ownline holds the nouns that every part shares: users, services, devices,
// sessions, sites, and the kinds of error. It opens no socket or file, reads no clock
// and writes no log.
package ownline
