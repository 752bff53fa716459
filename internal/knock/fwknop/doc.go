// Package fwknop is the packet of fwknop's clients: verified and parsed, text in and a value out.
// It takes the part of that format (libfko 2 and 3) that is safe: symmetric keys, AES in CBC mode
// behind an HMAC of SHA-2 or SHA-3, requests for access, and one encoding of each value. All else
// is refused: no HMAC or a weak one, other modes, GnuPG, commands.
//
// A packet is opened in two steps. MAC says whose it is, which is all that a router has to know,
// and costs it one hash for each device. Open takes it apart with both keys.
//
// It opens no socket, reads no clock and writes no log. Whether a packet is fresh and comes for
// the first time is for the caller to judge.
package fwknop
