package ownline

// The drivers of a router's firewall.
const (
	NFTables     = "nftables"
	IPTables     = "iptables"
	AutoFirewall = "auto" // the first of them that works
)
