// Package firewalld: has firewalld translate for sessions, asked by D-Bus, and says in the kernel by package
// nft which of its connections live.
//
//	firewalld   policy ownline   a rich rule with forward-port for each session, in the runtime configuration
//	inet ownline -110  take      source . protocol . public port live?  mark as ours, leave it to firewalld
//	                             else, might firewalld translate it?  keep it from that
//	inet ownline  -10  gate_*    packet of ours: is its session live?  else refuse
//
// A connection needs both. What firewalld's language can't say is in our table: until when, per packet, what
// was counted, which knocks may come, who reaches the proxy. firewalld gives policies no time, so a rule
// may be there longer than its session. Before firewalld is told a rule, our table knows its key, and forgets
// it only when the rule is gone (nft.Driver.Ask): in between, firewalld does not get to see connections whose session is over.
//
// The policy is made once, in the permanent configuration, and firewalld is told to reload, as Docker and
// Podman do with theirs: none can be made in the runtime configuration alone.
package firewalld
