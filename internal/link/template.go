package link

// What the text of ProxyOptions.Template has, on its way to core, where the router's own words
// belong. Web has executed the admin's template by then, so that core needs no template engine.
// nginx takes none of them for anything else, should one be left over.
const (
	HostMark     = "{ownline:host}"     // NAME.DOMAIN
	PortMark     = "{ownline:port}"     // in the URLs that people open
	ListenMark   = "{ownline:listen}"   // directives: where clients arrive, with the certificate
	GuardMark    = "{ownline:guard}"    // directives: who is admitted, and what is refused
	ForwardMark  = "{ownline:forward}"  // directives: who asks, and how answers stream
	UpstreamMark = "{ownline:upstream}" // for proxy_pass or grpc_pass
	TrustMark    = "{ownline:trust}"    // directives: how an https service proves who it is
)

// Preview is what would be written for a service.
type Preview struct {
	Text string `json:"text"`
}
