// Package nft: puts a firewall.Ruleset into the kernel by nftables, in one table of its own,
// `inet ownline`, talked to by netlink.
//
//	raw      knock_filter   a datagram to the knock port: valid hint? untracked, to the socket
//	-110     nat_in → inside         the LAN, to the proxy's port or by a hairpin?  translate
//	-110     nat_in → take   source . protocol . public port in map dnat4/6?  mark as ours, translate
//	-10      gate_* → gate  packet of ours: is its session in up4/6 or down4/6?  else refuse
//	+100     knock_closed   what else comes to the knock port: port unreachable
//	srcnat   nat_out        masquerade, when configured, and of hairpins
//
// Elements of the map and of the live sets carry the session's remaining time as their
// timeout, so the kernel ends access by itself. What a rule must recognise later is a bit in
// the connection's label, set in the same rule that translates and checked before it does:
// a connection of ours that can't be recognised is not made.
//
// Closing deletes elements and leaves connections: the refused entries are tombstones.
// Without them the LAN host's next packet would begin a new connection, without our label,
// past the gate. It follows that a UDP client which keeps sending from one port can't change
// to another target under the same public port before its old entry has timed out.
//
// Where another firewall translates (Config.Elsewhere), take marks and leaves the rest to it, and what
// nobody may begin is kept from it: see Driver.Ask.
//
// Counters count network-layer packets as the router's receive path delivers them: with
// receive offload, several segments of a stream arrive as one.
package nft
