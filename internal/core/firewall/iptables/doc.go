// Package iptables: puts a firewall.Ruleset into the kernel by the programs iptables and
// ip6tables, for routers without nftables. Both variants do, that of the legacy kernel interface
// and that on top of nftables. All chains are its own, and each is hooked once:
//
//	nat     PREROUTING   ownline-in → ownline-inside   the LAN, to the proxy's port or by a hairpin?  translate
//	nat     PREROUTING   ownline-in → ownline-take → ownline-dnat   source, protocol, public port?  mark, translate
//	nat     POSTROUTING  ownline-out     masquerade, when configured
//	nat     POSTROUTING  ownline-back    masquerade of hairpins
//	mangle  FORWARD      ownline-gate    packet of ours → ownline-up or ownline-down: is its session live?
//	mangle  INPUT        ownline-input   the same, and who may reach the proxy
//	mangle  OUTPUT       ownline-output  the same
//	filter  FORWARD, INPUT  ownline-reset   what the gate refused of TCP is answered with a reset
//	mangle  POSTROUTING  ownline-late    and dropped, should somebody's rule have accepted it before
//
// A session has a chain of its own in nat and in mangle, named after what it is, with the rule
// that says until when: renewing it replaces what is in these, and leaves the rules that lead
// there and count. The gate is in mangle, because a packet meets that before the filter's rules,
// which are others'; it knows our connections by a bit of their mark, and refuses those whose
// session is no longer there, so ended ones stay as tombstones (see package nft).
//
// What is changed goes to iptables-restore --noflush as text on its standard input: each table
// is replaced whole or not at all, one after the other, the gate before the translation. Every
// rule that leads to no other chain has a fingerprint of itself as its comment; by these, what
// iptables-save prints is compared with what should be there.
//
// Beside ufw, two more chains let in what ufw would refuse (Config.UFW).
//
// Promises says what this can't do that nftables can.
package iptables
