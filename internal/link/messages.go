package link

import (
	"net/netip"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
)

// Revision orders what web wants of one core. A revision belongs to an epoch: a web whose
// database was restored starts a new epoch, and nothing of an older one counts any more.
// The JSON keys are those of the messages that embed it.
type Revision struct {
	Epoch    string `json:"epoch"`
	Revision uint64 `json:"revision"`
}

// Stamp orders a command, and tells core web's time: sessions end by web's clock, and a
// router without a clock of its own takes it from here.
type Stamp struct {
	Revision
	Now time.Time `json:"now"`
}

// Session is one hole that core holds open.
type Session struct {
	ID            ownline.SessionID   `json:"id"`
	Service       string              `json:"service"` // its name, for people
	ServiceID     ownline.ServiceID   `json:"service_id"`
	User          string              `json:"user"` // likewise
	Kind          ownline.ServiceKind `json:"kind"`
	Source        netip.Prefix        `json:"source"`
	Transport     ownline.Transport   `json:"transport"`
	PublicPort    uint16              `json:"public_port"`
	AllowReserved bool                `json:"allow_reserved,omitempty"`
	Target        netip.AddrPort      `json:"target"`  // of kind proxy: zero, core knows where its proxy is
	Expires       time.Time           `json:"expires"` // by web's clock; core counts from the stamp's Now
	// Counted is what web knows to have come through it. A core that has been started anew counts on from there.
	Counted ownline.Traffic `json:"counted,omitzero"`
}

// Device is what core needs to verify knocks.
type Device struct {
	ID                   ownline.DeviceID `json:"id"`
	Secret               []byte           `json:"secret"`
	RequireClaimedSource bool             `json:"require_claimed_source,omitempty"`
}

// FwknopDevice is what core needs to tell whose a packet of an fwknop client is. What is in the
// packet only web can read.
type FwknopDevice struct {
	ID     ownline.DeviceID `json:"id"`
	Digest string           `json:"digest"` // of the HMAC
	Key    []byte           `json:"key"`    // of the HMAC
}

// Service is what the reverse proxy serves under a name of its own.
type Service struct {
	ID      ownline.ServiceID    `json:"id"`
	Name    string               `json:"name"` // also the sub-domain
	Target4 netip.AddrPort       `json:"target4,omitzero"`
	Target6 netip.AddrPort       `json:"target6,omitzero"`
	Options ownline.ProxyOptions `json:"options,omitzero"`
}

// Doorstep is a name at the proxy for guests, who can't be known: see internal/core/doorstep. To
// everybody it is open until Until, and shut when that is over; but sessions to ownline.DoorstepID
// lead guests there.
type Doorstep struct {
	Web4  netip.AddrPort `json:"web4,omitzero"` // where the router reaches web
	Web6  netip.AddrPort `json:"web6,omitzero"`
	Until time.Time      `json:"until,omitzero"` // by web's clock; core counts from the stamp's Now
}

// Inside is a port by which the hosts of a local network reach a service in that same network, at any
// address of the router and without a session: so that the public name does for them, too.
type Inside struct {
	Transport  ownline.Transport `json:"transport"`
	PublicPort uint16            `json:"public_port"`
	Target4    netip.AddrPort    `json:"target4,omitzero"`
	Target6    netip.AddrPort    `json:"target6,omitzero"`
}

// State is everything that one core should hold.
type State struct {
	Stamp
	Site       ownline.SiteID `json:"site"`
	SiteName   string         `json:"site_name"`
	IPv6Prefix int            `json:"ipv6_prefix"` // bits of an IPv6 source that count
	Sessions   []Session      `json:"sessions"`
	Devices    []Device       `json:"devices"`
	// FwknopDevices are none for a core that has told no FwknopPort: it may be too old for them.
	FwknopDevices []FwknopDevice `json:"fwknop_devices,omitempty"`

	Inside   []Inside  `json:"inside,omitempty"`   // no port of a transport twice
	Services []Service `json:"services"`           // of kind proxy
	Pages    string    `json:"pages,omitempty"`    // URL of Ownline's own, where people log in; "": nowhere
	Passes   []Pass    `json:"passes,omitempty"`   // to services that require a login
	Doorstep *Doorstep `json:"doorstep,omitempty"` // nil: there is none
}

// Put opens or renews one session.
type Put struct {
	Stamp
	Session
}

// Result tells what became of one session that web asked for.
type Result struct {
	ID      ownline.SessionID `json:"id"`
	Problem *Problem          `json:"problem,omitempty"` // nil: it is applied
}

// Verdict is web's word on a knock: the sessions to open or renew, and what to answer.
type Verdict struct {
	Stamp
	Status   knock.Status `json:"status"`
	Reason   string       `json:"reason,omitempty"` // of Refused: RefusedPolicy, or "" for whatever else
	Sessions []Session    `json:"sessions"`
	Refused  []Refusal    `json:"refused,omitempty"` // services that it does not open, though they are granted
	// Ignored is why the sender must learn nothing, for the router's admin alone. Then nothing is answered,
	// and there are neither a status nor sessions.
	Ignored string `json:"ignored,omitempty"`
}

// Refusal is why a knock does not open one service.
type Refusal struct {
	Service   string            `json:"service"` // its name, for people
	ServiceID ownline.ServiceID `json:"service_id"`
	Reason    string            `json:"reason"` // as docs/reference/refusals.md has those of web
}

// RefusedPolicy is the Verdict.Reason of a source that may not be where it is.
const RefusedPolicy = "policy"

// Results is the reply to State, Verdict and Flush, in no order. The reply to a State names
// only sessions that could not be applied; the reply to a Verdict names every one.
type Results struct {
	Results []Result `json:"results"`
}

// PairRequest makes the sender the web that this core obeys.
type PairRequest struct {
	Token string `json:"token"`
}

// NextKey announces the key by which web will prove itself next; "": no other is to come.
type NextKey struct {
	Next Pin `json:"next"`
}

// Status is how a core is.
type Status struct {
	Version   string         `json:"version"`
	Run       string         `json:"run"`     // names this run of core: random, another one after every start
	Started   time.Time      `json:"started"` // by the router's clock as it was then; it may have been wrong
	Up        time.Duration  `json:"up"`      // nanoseconds since; no clock that is set changes it
	Site      ownline.SiteID `json:"site"`
	SiteName  string         `json:"site_name"`
	Paired    bool           `json:"paired"`
	Connected bool           `json:"connected"` // web is listening to events
	Applied   Revision       `json:"applied"`   // newest that core has applied
	Sessions  int            `json:"sessions"`
	// DoorstepSessions are besides: they lead guests to the doorstep while other sessions of theirs are open.
	DoorstepSessions int            `json:"doorstep_sessions,omitempty"`
	Devices          int            `json:"devices"`
	KnockPort        uint16         `json:"knock_port"`
	FwknopPort       uint16         `json:"fwknop_port,omitempty"` // 0: packets of fwknop clients are not taken
	LocalNetworks    []netip.Prefix `json:"local_networks"`
	ReservedPorts    []uint16       `json:"reserved_ports"`
	Clock            Clock          `json:"clock"`
	Firewall         Firewall       `json:"firewall"`
	Proxy            Proxy          `json:"proxy"`
	Knocks           Knocks         `json:"knocks"`
	Ports            *Ports         `json:"ports,omitempty"` // nil: no router in front is asked
}

// Ports tells how the router in front of this one is asked to lead public ports here.
type Ports struct {
	Open     string     `json:"open"`               // ports.open of the settings
	Protocol string     `json:"protocol,omitempty"` // that the router speaks: "pcp", "nat-pmp" or "upnp"; "": none, or it does not answer
	Router   netip.Addr `json:"router,omitzero"`
	External netip.Addr `json:"external,omitzero"` // public address of that router, as it says itself
	OK       bool       `json:"ok"`
	Error    string     `json:"error,omitempty"`
	Opened   int        `json:"opened"`            // ports that it leads here
	Narrow   int        `json:"narrow"`            // of those, how many it was told the source of
	Refused  []string   `json:"refused,omitempty"` // ports that it does not open, like "20000/tcp"
}

// Proxy tells how the reverse proxy is.
type Proxy struct {
	Driver   string `json:"driver"`           // "none": services of kind proxy can't be opened
	Domain   string `json:"domain,omitempty"` // services are at https://NAME.Domain:Port
	Port     uint16 `json:"port,omitempty"`
	OK       bool   `json:"ok"`
	Error    string `json:"error,omitempty"`
	Root     string `json:"root,omitempty"` // certificate in PEM of the internal authority, for browsers to trust
	Services int    `json:"services"`
	// Expires is when the first of its certificates does; zero: there is none yet.
	Expires time.Time `json:"expires,omitzero"`
	// Doorstep is until when everybody is let in at the doorstep; zero: it is shut, or there is none.
	Doorstep time.Time `json:"doorstep,omitzero"`
}

// Clock tells which clock core goes by.
type Clock struct {
	Source string    `json:"source"` // "system", "web" or "unknown"
	Now    time.Time `json:"now"`    // zero while unknown
	Why    string    `json:"why,omitempty"`
}

// Firewall tells how the kernel is kept.
type Firewall struct {
	Driver string `json:"driver"`
	OK     bool   `json:"ok"`
	Error  string `json:"error,omitempty"`
	Filter bool   `json:"filter"`          // garbage knocks die in the kernel
	Lacks  string `json:"lacks,omitempty"` // what of the filter the kernel does not take, and why
}

// Knocks counts datagrams at the knock port since core started: see Status.Run.
type Knocks struct {
	Accepted uint64            `json:"accepted"`
	Dropped  map[string]uint64 `json:"dropped"` // by reason
}

// The kinds of event.
const (
	EventHello   = "hello"   // first on every stream; carries Status. Web answers with the whole state.
	EventKnock   = "knock"   // a genuine knock wants a verdict
	EventFwknop  = "fwknop"  // a packet of an fwknop client wants a verdict
	EventEnded   = "ended"   // a session ended on the router
	EventTraffic = "traffic" // counters of sessions, when they changed
	EventAlive   = "alive"   // nothing happened; sent so that a dead link is noticed
)

// Event is what core tells web.
type Event struct {
	Type    string    `json:"type"`
	Status  *Status   `json:"status,omitempty"`
	Knock   *Knocked  `json:"knock,omitempty"`
	Fwknop  *Fwknop   `json:"fwknop,omitempty"`
	Ended   *Ended    `json:"ended,omitempty"`
	Traffic []Traffic `json:"traffic,omitempty"`
}

// Knocked is a knock that core has verified.
type Knocked struct {
	Seq      uint64            `json:"seq"` // names this knock to Client.Verdict
	Device   ownline.DeviceID  `json:"device"`
	Nonce    []byte            `json:"nonce"`
	Made     time.Time         `json:"made"`   // by the device's clock
	Source   netip.Addr        `json:"source"` // as core saw it
	Claimed  netip.Addr        `json:"claimed,omitzero"`
	Service  ownline.ServiceID `json:"service"`
	Duration time.Duration     `json:"duration"` // nanoseconds; 0: the default
	Inside   bool              `json:"inside"`   // the source is in a local network: nothing is to be opened
	Skew     time.Duration     `json:"skew"`     // nanoseconds that core accepts
}

// Fwknop is a packet of an fwknop client whose HMAC core has verified.
type Fwknop struct {
	Seq    uint64           `json:"seq"` // names this packet to Client.Verdict
	Device ownline.DeviceID `json:"device"`
	Packet string           `json:"packet"` // as it came
	Now    time.Time        `json:"now"`    // by the clock that core goes by
	Source netip.Addr       `json:"source"` // as core saw it
	Inside bool             `json:"inside"` // the source is in a local network: nothing is to be opened
	Skew   time.Duration    `json:"skew"`   // nanoseconds that the packet's time may be from Now
}

// Ended tells that a session is over, and its last counters.
type Ended struct {
	ID      ownline.SessionID `json:"id"`
	Reason  ownline.EndReason `json:"reason"`
	Traffic ownline.Traffic   `json:"traffic"`
}

// Traffic is what came through a session since it was opened.
type Traffic struct {
	ID ownline.SessionID `json:"id"`
	ownline.Traffic
}

// Reach asks whether something answers at an address and port in the LAN, by TCP.
type Reach struct {
	Target netip.AddrPort `json:"target"`
}

// What Reached.Failure may be.
const (
	ReachRefused = "refused"  // nothing listens there
	ReachSilent  = "silent"   // no answer in time
	ReachNoRoute = "no_route" // the router could not even try
)

// Reached tells how that went.
type Reached struct {
	Took    time.Duration `json:"took"`              // nanoseconds
	Failure string        `json:"failure,omitempty"` // "": it answered
}
