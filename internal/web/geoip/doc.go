// Package geoip tells in which country an address is, and to which network (autonomous
// system) it belongs, by databases in MaxMind's format that the admin keeps on the disk.
// What follows from that is policy's and notify's to say.
package geoip
