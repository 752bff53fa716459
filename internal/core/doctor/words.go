package doctor

const wanHint = "see `ip route`: without a default route, name the interface in firewall.wan_interfaces in %[1]s"

// words are what a check says of one fault, or that all is well. They stand together here, and not in the
// checks, as a small core has little room for code.
type words struct {
	check     string
	level     Level
	text, fix string // fix: a command each line
	hint      string
}

var (
	lacks = words{"settings", Problem, "The machine lacks what the settings name: %[1]v", "ownline-core run --check --config %[2]s", ""}

	outdated = words{"settings", Warning, "core runs with other settings than %[1]s has now: %[2]s.", "", "restart core, and run this again: what is set now was not in force for what is said here; variables of the environment that core alone has count, too"}

	untold = words{"settings", Warning, "core does not tell which settings it runs with: %[1]v.", "", "run this again; a core of an older version does not, until it is restarted"}

	runs     = words{check: "daemon", level: Good, text: "ownline-core runs, version %[1]s, for %[2]s."}
	notRuns  = words{"daemon", Problem, "No ownline-core answers, so nobody new is let in: %[1]v.", "ownline-core run --config %[2]s", "run it as a service, and see its log"}
	unpaired = words{"web", Problem, "No ownline-web is paired, so nobody can be let in.", "ownline-core pair", "give the line that it prints to ownline-web: in the app, or by `ownline-web site add`"}
	away     = words{"web", Problem, "ownline-web is paired, but not connected: no knock is answered, and no new session comes.", "", "see that ownline-web runs, and that nothing is in the way: %[1]s"}
	web      = words{check: "web", level: Good, text: "ownline-web is connected, and calls this site %[1]q."}

	unable  = words{"firewall", Problem, "The kernel or a program lacks what firewall.driver %[1]s needs: %[2]v.", "%[3]s", "run as root; where it can't be had, choose another firewall.driver in %[4]s"}
	able    = words{check: "firewall", level: Good, text: "The kernel has what firewall.driver %[1]s needs."}
	failed  = words{"firewall", Problem, "The kernel does not have Ownline's rules (%[1]s): %[2]s.", "%[3]s", "mend what the error says; core tries again by itself"}
	lacking = words{"firewall", Warning, "The kernel has Ownline's rules (%[1]s), but with %[2]s.", "", "docs/reference/firewalls.md says what that means"}
	ruled   = words{check: "firewall", level: Good, text: "The kernel has Ownline's rules (%[1]s)."}
	idle    = words{"firewall", Warning, "firewall.driver is ufw, but ufw is not active: it refuses nothing of what comes from the internet.", "", "`ufw enable`, after `ufw allow` for what is to come in, as ssh; or choose another firewall.driver in %[1]s"}

	misnamed = words{"interfaces", Problem, "None of the interfaces that firewall.wan_interfaces names is there: %[1]s. So nothing that comes from the internet is let in.", "ip -brief link", "the command shows the names: write that of the internet's into %[2]s, and restart core"}
	noRoute  = words{"interfaces", Warning, "No default route leads out of this router: what comes from the internet gets no answer.", "ip route", "where a policy (`ip rule`) has it in a table of its own, nothing is wrong"}

	notForwarded = words{check: "forwarding", level: Problem, text: "The kernel does not forward %[1]s, so services in the LAN can't be reached by it."}
	forwarded    = words{check: "forwarding", level: Good, text: "The kernel forwards %[1]s."}

	forged    = words{check: "rp_filter", level: Problem, text: "The kernel drops IPv4 packets from the internet that come by %[1]s, as no default route leads out there (rp_filter).", hint: "with 2 it takes what any route leads back to"}
	noPaths   = words{"rp_filter", Warning, "Whether the kernel takes packets from the internet for forged (rp_filter) was not looked at: no interface leads there.", "", wanHint}
	notForged = words{check: "rp_filter", level: Good, text: "The kernel takes no packet from the internet for forged (rp_filter)."}

	unread    = words{"host-rules", Warning, "The host's own rules can't be read: %[1]v.", "", "run as root; what can't be read was not looked at"}
	noWAN     = words{"host-rules", Warning, "What the host's own rules drop was not looked at: no interface leads to the internet.", "", wanHint}
	noLAN     = words{"host-rules", Warning, "Whether the host's own rules drop connections to services in the LAN was not looked at: no interface is in the LAN.", "", "an interface that is not in firewall.wan_interfaces needs an address in the LAN; see `ip address`, and %[1]s"}
	drops     = words{"host-rules", Problem, "The host's own chain %[1]s drops %[2]s.", "%[3]s", "%[4]s"}
	mayDrop   = words{"host-rules", Warning, "The host's own chain %[1]s drops %[2]s, unless one of its rules that can't be judged here accepts it.", "%[3]s", "%[4]s"}
	unseen    = words{"host-rules", Warning, "What the host's own chain %[1]s drops was not looked at.", "", "see `nft list ruleset`: it is of a bridge, of ARP, or of another device; what comes from the internet or the LAN may pass it on its way"}
	rewritten = words{check: "sources", level: Good, text: "The host's own chain %[1]s puts the router's address in place of whoever is let in: services in the LAN see that one."}
	passes    = words{check: "host-rules", level: Good, text: "The host's own rules drop nothing that Ownline lets in."}

	shared = words{"ports", Warning, "%[1]q is open at port %[2]d/%[3]s, which this router uses itself: until its end, %[4]s does not reach the router's own service there.", "", "give the service another public port in its grant"}
	taken  = words{"ports", Problem, "Another program has port %[1]d/%[2]s, which core needs.", "ss -lntup 'sport = :%[1]d'", "the command shows who it is: stop it, or have core take another port in %[3]s"}
	free   = words{check: "ports", level: Good, text: "No two want the same port."}

	elsewhere = words{"masquerade", Problem, "This router's own gateway, %[1]s, is in the network %[2]s: hosts there send their answers to it and not to this router, so services on them can't be reached.", "", "write `firewall: {masquerade: true}` into %[3]s and restart core; if the network only leads to the internet, write its interface into firewall.wan_interfaces"}
	back      = words{check: "masquerade", level: Good, text: "Answers of the LAN's hosts come back to this router, as far as it can see."}

	routed    = words{check: "routes", level: Good, text: "Routes lead connections into the LAN, and answers back to the internet."}
	notRouted = words{"routes", Problem, "The kernel does not route %[1]s as it has to: %[2]s.", "ip route get %[3]s from %[4]s iif %[5]s", "the command asks it again; see `ip rule` and `ip route show table all` for what it goes by; rules that go by a mark (`fwmark`) are not asked"}

	behind   = words{"address", Warning, "This router has no address of the internet: there is another box in front of it.", "", "let that box forward %[1]d/udp and the public ports of services to this router, without rewriting their sources"}
	carrier  = words{"address", Problem, "This router's address is one that carriers use inside (100.64.0.0/10): nobody can reach it from the internet.", "", "ask the provider for a public address, or for IPv6"}
	rewrites = words{"address", Warning, "Knocks come from this router's own gateway, %[1]s: the box there puts its address in place of the senders', so that nothing can be opened for them.", "", "let it forward ports without rewriting sources; if only knocks from inside take that way, through the public name, all is well"}
	internet = words{check: "address", level: Good, text: "This router has an address of the internet: %[1]s."}

	unsynced = words{"clock", Warning, "The clock: %[1]s.", "%[2]s", "let the router's clock be synchronised by NTP"}
	synced   = words{check: "clock", level: Good, text: "The clock is synchronised."}

	notServed = words{"certificate", Problem, "The reverse proxy does not serve: %[1]s.", "", "mend what the error says"}
	none      = words{"certificate", Problem, "There is no certificate for *.%[2]s yet.", "", "%[4]s"}
	early     = words{check: "certificate", level: Good, text: "Names can be served at *.%[2]s; none needs a certificate yet."}
	limping   = words{"certificate", Warning, "Names are served at *.%[2]s, but %[1]s.", "", ""}
	over      = words{"certificate", Problem, "The certificate of *.%[2]s has expired, at %[3]s.", "", "%[4]s"}
	ending    = words{"certificate", Warning, "The certificate of *.%[2]s is about to expire, at %[3]s.", "", "%[4]s"}
	serving   = words{check: "certificate", level: Good, text: "Names are served at *.%[2]s, with a certificate until %[3]s."}

	open   = words{"modes", Problem, "Others on this router can read or change %[1]s: its mode is %04[2]o.", "chmod %04[3]o %[4]s", ""}
	closed = words{check: "modes", level: Good, text: "Nobody else can read core's secrets, or change its files."}
)
