package portmap

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	natpmp "github.com/jackpal/go-nat-pmp"
)

// natPMP asks by NAT-PMP, RFC 6886, which knows no sources.
type natPMP struct {
	client *natpmp.Client
	epoch  epoch
	lost   bool
	addr   netip.Addr
}

// natPMPPatience is how long a request may take in all: the library tries again meanwhile.
const natPMPPatience = 1500 * time.Millisecond

func dialNATPMP(ctx context.Context, router netip.Addr, _ []byte) (protocol, error) {
	p := &natPMP{client: natpmp.NewClientWithTimeout(net.IP(router.AsSlice()), natPMPPatience)}
	if _, err := p.look(ctx, nil); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *natPMP) external() netip.Addr { return p.addr }

func (p *natPMP) look(context.Context, []key) (bool, error) {
	r, err := p.client.GetExternalAddress()
	if err != nil {
		return false, natPMPError(err)
	}
	p.addr = netip.AddrFrom4(r.ExternalIPAddress)
	lost := p.epoch.lost(r.SecondsSinceStartOfEpoc, time.Now()) || p.lost
	p.lost = false
	return lost, nil
}

func (p *natPMP) open(ctx context.Context, o *Opening, lease time.Duration) (grant, error) {
	r, err := p.send(o.key(), int(o.Port), lease)
	if err != nil {
		return grant{}, err
	}
	if r.InternalPort != o.Port {
		return grant{}, errSilent // a late answer to something else
	}
	if r.MappedExternalPort != o.Port {
		if err := p.shut(ctx, o.key()); err != nil {
			return grant{}, err
		}
		return grant{}, otherPort(r.MappedExternalPort)
	}
	return grant{lease: time.Duration(r.PortMappingLifetimeInSeconds) * time.Second}, nil
}

func (p *natPMP) shut(_ context.Context, k key) error {
	_, err := p.send(k, 0, 0)
	if refused(err) {
		return nil
	}
	return err
}

func (p *natPMP) send(k key, external int, lease time.Duration) (*natpmp.AddPortMappingResult, error) {
	r, err := p.client.AddPortMapping(string(k.transport), int(k.port), external, int(lease/time.Second))
	if err != nil {
		return nil, natPMPError(err)
	}
	p.lost = p.epoch.lost(r.SecondsSinceStartOfEpoc, time.Now()) || p.lost
	return r, nil
}

// natPMPError tells the router's no from its silence, which the library tells by words alone.
func natPMPError(err error) error {
	var network net.Error
	if code, ok := strings.CutPrefix(err.Error(), "Non-zero result code "); ok {
		return &refusal{"NAT-PMP result " + code}
	}
	if errors.As(err, &network) || !strings.HasPrefix(err.Error(), "Timed out") {
		return err
	}
	return errSilent
}
