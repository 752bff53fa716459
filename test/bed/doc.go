// Package bed: a small internet made of network namespaces, with probes that report.
//
//	client1 ─┐
//	client2 ─┼─ internet ─ wan0 router lan0 ─ lan
//	stranger ┘
//
// Every name above is a [Host]: a network namespace of its own with IPv4 and IPv6, joined
// to its neighbour by a virtual cable. Routes exist only where the real internet would have
// them, so the LAN's private addresses are known to the router and the LAN alone. Nothing
// here needs a program to be installed: links, addresses and routes are made by netlink.
//
// The namespaces have no name. They live as long as threads, sockets or file descriptors of
// this process hold them, so the kernel takes all of it down when the process ends, however
// it ends. The host's own network namespace is never changed.
//
// Root is enough to make a bed. [Enter] gets everybody else there through a user namespace.
// The end-to-end tests, the benchmarks and "ownline demo" share this package; what only
// tests need is in the folder bedtest. It works on Linux; elsewhere [New] and [Enter] return
// errors.ErrUnsupported.
package bed
