package ownline

// The drivers of a router's firewall.
const (
	NFTables     = "nftables"
	IPTables     = "iptables"
	UFW          = "ufw"       // iptables, let in beside ufw's rules
	Firewalld    = "firewalld" // which translates, with nftables before it
	AutoFirewall = "auto"      // ufw or firewalld where it is active, else the first of the others that works
)
