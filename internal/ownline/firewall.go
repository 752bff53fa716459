package ownline

// The drivers of a router's firewall.
const (
	NFTables     = "nftables"
	IPTables     = "iptables"
	UFW          = "ufw"  // iptables, let in beside ufw's rules
	AutoFirewall = "auto" // ufw where it is active, else the first of the others that works
)
