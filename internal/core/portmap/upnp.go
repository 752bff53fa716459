package portmap

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/huin/goupnp"
	"github.com/huin/goupnp/soap"
)

// upnp asks by the services of a UPnP Internet Gateway Device.
type upnp struct {
	client  soap.SOAPClient
	service string // its type
	local   netip.Addr
	addr    netip.Addr
	to      map[key]string // remote host that a port was opened for in this run; "": everybody
}

// upnpServices open ports, those that are newer in front.
var upnpServices = []string{
	"urn:schemas-upnp-org:service:WANIPConnection:2",
	"urn:schemas-upnp-org:service:WANIPConnection:1",
	"urn:schemas-upnp-org:service:WANPPPConnection:1",
}

func dialUPnP(ctx context.Context, router netip.Addr, _ []byte) (protocol, error) {
	local, err := localTo(netip.AddrPortFrom(router, ssdpGroup.Port()))
	if err != nil {
		return nil, err
	}
	at, err := search(ctx, router, local)
	if err != nil {
		return nil, err
	}
	return dialUPnPAt(ctx, at, router, local)
}

// dialUPnPAt reads a router's description, and takes the service that has a public address, if
// one has.
func dialUPnPAt(ctx context.Context, at *url.URL, router, local netip.Addr) (protocol, error) {
	root, err := describe(ctx, at, router)
	if err != nil {
		return nil, err
	}
	var first *upnp
	for _, kind := range upnpServices {
		for _, s := range root.Device.FindService(kind) {
			u := s.ControlURL.URL
			if !s.ControlURL.Ok || !of(&u, router) {
				continue
			}
			p := &upnp{client: soap.SOAPClient{EndpointURL: u, HTTPClient: webClient(router)}, service: kind, local: local, to: make(map[key]string)}
			if p.askAddress(ctx) == nil && p.addr.IsValid() && !p.addr.IsUnspecified() {
				return p, nil
			}
			if first == nil {
				first = p
			}
		}
	}
	if first == nil {
		return nil, errors.New("the router describes no service that opens ports")
	}
	return first, nil
}

func describe(ctx context.Context, at *url.URL, router netip.Addr) (*goupnp.RootDevice, error) {
	if !of(at, router) {
		return nil, fmt.Errorf("%s is not the router", at.Host)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	client := webClient(router)
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the router's description: status %d", resp.StatusCode)
	}
	root := new(goupnp.RootDevice)
	d := xml.NewDecoder(resp.Body)
	d.DefaultSpace = goupnp.DeviceXMLNamespace
	if err := d.Decode(root); err != nil {
		return nil, fmt.Errorf("the router's description: %w", err)
	}
	base := at
	if root.URLBaseStr != "" {
		if base, err = url.Parse(root.URLBaseStr); err != nil {
			return nil, errors.New("the router's description: URLBase is no URL")
		}
	}
	root.SetURLBase(base)
	return root, nil
}

// Errors of the services.
const (
	upnpNoSuchEntry       = 714
	upnpConflict          = 718
	upnpOnlyPermanent     = 725
	upnpOnlyWildcardHost  = 726
	upnpConflictMechanism = 729
)

// upnpErrors are our words: the router's own are not trusted.
var upnpErrors = map[int]string{
	402: "it does not understand the request", 501: "it could not do it", 606: "not authorised",
	upnpConflict: "another device has the port", upnpConflictMechanism: "the port is forwarded by another of its settings",
	upnpOnlyPermanent: "it opens ports for ever only, which is not asked of it", 728: "no resources are left",
}

// upnpError is the service's no.
type upnpError struct {
	refusal
	code int
}

// As has it taken for a refusal.
func (e *upnpError) As(target any) bool {
	r, ok := target.(**refusal)
	if ok {
		*r = &e.refusal
	}
	return ok
}

func isUPnP(err error, codes ...int) bool {
	var e *upnpError
	if errors.As(err, &e) {
		for _, c := range codes {
			if e.code == c {
				return true
			}
		}
	}
	return false
}

// act calls an action of the service.
func (p *upnp) act(ctx context.Context, action string, in, out any) error {
	err := p.client.PerformActionCtx(ctx, p.service, action, in, out)
	var fault *soap.SOAPFaultError
	if !errors.As(err, &fault) {
		return err
	}
	code := fault.Detail.UPnPError.Errorcode
	why := fmt.Sprintf("UPnP error %d", code)
	if words := upnpErrors[code]; words != "" {
		why += ": " + words
	}
	return &upnpError{refusal{why}, code}
}

// Arguments of actions, in the order that the service describes them in. The library takes their
// names from the fields.
type (
	portEntry struct {
		NewRemoteHost   string
		NewExternalPort string
		NewProtocol     string
	}
	portMapping struct {
		NewRemoteHost             string
		NewExternalPort           string
		NewProtocol               string
		NewInternalPort           string
		NewInternalClient         string
		NewEnabled                string
		NewPortMappingDescription string
		NewLeaseDuration          string
	}
	whose struct {
		NewInternalPort   string
		NewInternalClient string
	}
	publicAddress struct{ NewExternalIPAddress string }
)

func entry(k key, remote string) *portEntry {
	return &portEntry{remote, strconv.Itoa(int(k.port)), strings.ToUpper(string(k.transport))}
}

func (p *upnp) external() netip.Addr { return p.addr }

func (p *upnp) askAddress(ctx context.Context) error {
	var out publicAddress
	if err := p.act(ctx, "GetExternalIPAddress", nil, &out); err != nil {
		return err
	}
	p.addr, _ = netip.ParseAddr(out.NewExternalIPAddress) // none while it is not connected
	return nil
}

// lookAt is how many ports are asked for at a look: a router that has started anew has none.
const lookAt = 4

func (p *upnp) look(ctx context.Context, held []key) (bool, error) {
	if err := p.askAddress(ctx); err != nil && !refused(err) {
		return false, err
	}
	for i, k := range held {
		if i == lookAt {
			break
		}
		ours, err := p.ours(ctx, k, p.to[k])
		if err != nil && !refused(err) {
			return false, err
		}
		if !ours {
			return true, nil
		}
	}
	return false, nil
}

// ours reports whether a port leads here.
func (p *upnp) ours(ctx context.Context, k key, remote string) (bool, error) {
	var out whose
	err := p.act(ctx, "GetSpecificPortMappingEntry", entry(k, remote), &out)
	if err != nil {
		return false, err
	}
	return out.NewInternalClient == p.local.String() && out.NewInternalPort == strconv.Itoa(int(k.port)), nil
}

// open names the source if there is one. Of several, a service has to be told one by one, which
// many refuse or get wrong, so then everybody may come to the router in front.
func (p *upnp) open(ctx context.Context, o *Opening, lease time.Duration) (grant, error) {
	remote := ""
	if len(o.Sources) == 1 {
		remote = o.Sources[0].String()
	}
	err := p.add(ctx, o.key(), remote, lease)
	if remote != "" && isUPnP(err, upnpOnlyWildcardHost) {
		remote = ""
		err = p.add(ctx, o.key(), remote, lease)
	}
	return grant{lease, remote != ""}, err
}

// add takes back first what is there of ours for somebody else, and what a core before this one
// left: services keep the remote host that they were told first.
func (p *upnp) add(ctx context.Context, k key, remote string, lease time.Duration) error {
	if before, ok := p.to[k]; !ok {
		for _, r := range []string{remote, ""} {
			ours, err := p.ours(ctx, k, r)
			if err != nil && !refused(err) {
				return err
			}
			if ours {
				if err := p.remove(ctx, k, r); err != nil {
					return err
				}
			}
		}
	} else if before != remote {
		if err := p.remove(ctx, k, before); err != nil {
			return err
		}
	}
	in := &portMapping{
		remote, strconv.Itoa(int(k.port)), strings.ToUpper(string(k.transport)), strconv.Itoa(int(k.port)), p.local.String(), "1",
		"Ownline", strconv.Itoa(int(lease / time.Second)),
	}
	err := p.act(ctx, "AddPortMapping", in, nil)
	if _, ok := p.to[k]; ok && isUPnP(err, upnpConflict) {
		// Some can't tell a renewal from a conflict.
		if ours, _ := p.ours(ctx, k, remote); ours {
			if err := p.remove(ctx, k, remote); err != nil {
				return err
			}
			err = p.act(ctx, "AddPortMapping", in, nil)
		}
	}
	if err != nil {
		return err
	}
	p.to[k] = remote
	return nil
}

func (p *upnp) shut(ctx context.Context, k key) error {
	remote, ok := p.to[k]
	if !ok {
		return nil
	}
	return p.remove(ctx, k, remote)
}

func (p *upnp) remove(ctx context.Context, k key, remote string) error {
	err := p.act(ctx, "DeletePortMapping", entry(k, remote), nil)
	if err == nil || isUPnP(err, upnpNoSuchEntry) {
		delete(p.to, k)
		return nil
	}
	return err
}
