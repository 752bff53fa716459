package ownline

// Ways to have the router in front lead public ports here (ports.open).
const (
	NoPorts     = "off"
	AutoPorts   = "auto"    // the first of the following that the router speaks: PCP, UPnP, NAT-PMP
	PCPPorts    = "pcp"     // RFC 6887
	NATPMPPorts = "nat-pmp" // RFC 6886
	UPnPPorts   = "upnp"    // UPnP Internet Gateway Device
)
