package portmap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// Messages of the Port Control Protocol, RFC 6887: as much of it as opens ports. Addresses have 16
// bytes, those of IPv4 mapped into IPv6.
const (
	pcpPort    = 5351
	pcpVersion = 2
	pcpMax     = 1100 // bytes of a message

	opAnnounce = 0
	opMap      = 1
	opResponse = 0x80

	optPreferFailure = 2
	optFilter        = 3

	headerSize = 24
	mapSize    = 36
	filterSize = 24 // with its head
	headSize   = 4  // of an option

	// maxFilters is how many sources fit into a message beside what else may be in it.
	maxFilters = (pcpMax-headerSize-mapSize-headSize)/filterSize - 1
)

// Results that are told apart.
const (
	pcpSuccess         = 0
	pcpUnsuppVersion   = 1
	pcpUnsuppOption    = 5
	pcpManyRemotePeers = 13
)

// pcpResults are the others' words.
var pcpResults = [...]string{
	"success", "it speaks another version of PCP", "not authorised", "malformed request", "unsupported operation", "unsupported option",
	"malformed option", "it has a network failure", "no resources are left", "unsupported protocol", "too many ports for one device",
	"it can't provide that port", "there is another NAT between it and this router", "too many sources",
}

func pcpRefusal(result byte) error {
	if int(result) < len(pcpResults) {
		return &refusal{pcpResults[result]}
	}
	return &refusal{fmt.Sprintf("PCP result %d", result)}
}

type nonce [12]byte

// mapRequest asks for a port. With lifetime 0, it is given back.
type mapRequest struct {
	client   netip.Addr // ours, as the server has to see it
	lifetime uint32     // seconds
	nonce    nonce
	protocol byte   // of IP
	port     uint16 // inside and outside
	exact    bool   // that one outside, or none
	filtered bool   // sources are all who may come; else everybody
	sources  []netip.Addr
}

func header(op byte, lifetime uint32, client netip.Addr) []byte {
	b := make([]byte, 0, pcpMax)
	b = append(b, pcpVersion, op, 0, 0)
	b = binary.BigEndian.AppendUint32(b, lifetime)
	return append16(b, client)
}

func append16(b []byte, a netip.Addr) []byte {
	raw := a.As16()
	return append(b, raw[:]...)
}

// announce asks a server how it is.
func announce(client netip.Addr) []byte { return header(opAnnounce, 0, client) }

func (m *mapRequest) bytes() []byte {
	b := header(opMap, m.lifetime, m.client)
	b = append(b, m.nonce[:]...)
	b = append(b, m.protocol, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, m.port)
	external := m.port
	if m.lifetime == 0 {
		external = 0 // section 15
	}
	b = binary.BigEndian.AppendUint16(b, external)
	b = append16(b, netip.AddrFrom4([4]byte{}))
	if m.exact {
		b = append(b, optPreferFailure, 0, 0, 0)
	}
	if m.filtered {
		// Sources are added to those from before, unless the first filter, of no bits, takes
		// those away (section 13.3).
		b = appendFilter(b, netip.AddrFrom4([4]byte{}), 0)
		for _, a := range m.sources {
			b = appendFilter(b, a, 128)
		}
	}
	return b
}

func appendFilter(b []byte, a netip.Addr, bits byte) []byte {
	b = append(b, optFilter, 0, 0, filterSize-headSize, 0, bits, 0, 0) // any port of theirs
	return append16(b, a)
}

// pcpResponse is what a server answers.
type pcpResponse struct {
	op       byte // without opResponse
	result   byte
	lifetime uint32 // seconds
	epoch    uint32 // seconds
	mapped   mapped // of opMap
}

// mapped is what a server says of a port.
type mapped struct {
	nonce              nonce
	protocol           byte
	internal, external uint16
	addr               netip.Addr
}

var (
	errNotPCP     = errors.New("not an answer of PCP")
	errPCPVersion = errors.New("the router does not speak PCP of RFC 6887")
)

func parsePCP(b []byte) (pcpResponse, error) {
	var r pcpResponse
	if len(b) < 2 || len(b) > pcpMax || b[1]&opResponse == 0 {
		return r, errNotPCP
	}
	if b[0] != pcpVersion { // a server of NAT-PMP alone says so in 8 bytes
		return r, errPCPVersion
	}
	if len(b) < headerSize || len(b)%4 != 0 {
		return r, errNotPCP
	}
	r.op, r.result = b[1]&^opResponse, b[3]
	if r.result == pcpUnsuppVersion {
		return r, errPCPVersion
	}
	r.lifetime, r.epoch = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	if r.op != opMap {
		return r, nil
	}
	b = b[headerSize:]
	if len(b) < mapSize {
		return r, errNotPCP
	}
	m := &r.mapped
	m.nonce, m.protocol = nonce(b[:12]), b[12]
	m.internal, m.external = binary.BigEndian.Uint16(b[16:]), binary.BigEndian.Uint16(b[18:])
	m.addr = netip.AddrFrom16([16]byte(b[20:36])).Unmap()
	return r, nil
}
