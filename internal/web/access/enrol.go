package access

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ownline/ownline/internal/knock/fwknop"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/policy"
)

// FwknopClient is what an fwknop client has to know of a site, its keys included.
type FwknopClient struct {
	Stanza  string // for ~/.fwknoprc
	Keys    string // what fwknop's apps scan
	Host    string
	Port    uint16
	Digest  string // of the HMAC, as in Device.Fwknop
	Key     string // of the encryption, in base64
	HMACKey string // in base64
	Opens   []FwknopCommand
}

// FwknopCommand opens one service.
type FwknopCommand struct{ Service, Command string }

func checkFwknop(digest string) error {
	if digest != "" && !fwknop.Known(digest) {
		return ownline.Invalid("fwknop", fmt.Sprintf("%q is no HMAC that is taken: sha256, sha384, sha512, sha3_256 or sha3_512", digest))
	}
	return nil
}

// fwknopClient makes what the device is shown once, and the commands for what its user may use
// now.
func (a *Access) fwknopClient(tx Tx, d ownline.Device, s ownline.Site) (*FwknopClient, error) {
	if s.FwknopPort == 0 {
		return nil, ownline.Conflict("site", "its router does not hear fwknop clients: set knock.fwknop_listen in its core.yaml, like [::]:62201, and start core anew")
	}
	keys, err := fwknop.DeriveKeys(d.Fwknop, d.Secret, s.ID)
	if err != nil {
		return nil, err
	}
	c := &FwknopClient{
		Host: s.Host, Port: s.FwknopPort, Digest: d.Fwknop,
		Key: base64.StdEncoding.EncodeToString(keys.Key), HMACKey: base64.StdEncoding.EncodeToString(keys.HMAC),
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[%s]\n", s.Name)
	source := "source" // where the packet comes from
	if d.RequireClaimedSource {
		source = "resolve"
	}
	for _, v := range [][2]string{
		{"SPA_SERVER", c.Host},
		{"SPA_SERVER_PORT", fmt.Sprint(c.Port)},
		{"ALLOW_IP", source},
		{"USE_HMAC", "Y"},
		{"HMAC_DIGEST_TYPE", strings.ToUpper(c.Digest)},
		{"KEY_BASE64", c.Key},
		{"HMAC_KEY_BASE64", c.HMACKey},
	} {
		fmt.Fprintf(&b, "%-24s%s\n", v[0], v[1])
	}
	c.Stanza = b.String()
	c.Keys = "KEY_BASE64:" + c.Key + " HMAC_KEY_BASE64:" + c.HMACKey
	u, err := tx.User(d.User)
	if err != nil {
		return nil, err
	}
	offers, err := tx.Offers(d.User, s.ID)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(offers, func(a, b policy.Offer) int { return strings.Compare(a.Service.Name, b.Service.Name) })
	// The client sends over IPv4 only. Where it is counts for nothing here, as long as it is outside.
	ask := policy.Ask{Source: netip.AddrFrom4([4]byte{192, 0, 2, 1}), Knocked: true}
	claims := map[ownline.ServiceID]bool{} // that the command has to make: the stanza does not
	for _, o := range offers {
		claims[o.Service.ID] = o.Grant.RequireClaimedSource && !d.RequireClaimedSource
	}
	f, offers := policy.Anywhere(policy.Facts{User: u, Site: s, Limits: a.limits}, offers)
	for _, o := range offers {
		f.Service, f.Grant = o.Service, o.Grant
		opening, err := policy.Decide(ask, f, now())
		if err != nil || o.Service.Everybody {
			continue // it can't be opened so, or comes with all others
		}
		command := fmt.Sprintf("fwknop -n %s -A %s/%d -N %s", s.Name, opening.Transport, opening.PublicPort, o.Service.Name)
		if claims[o.Service.ID] {
			command += " -R"
		}
		c.Opens = append(c.Opens, FwknopCommand{o.Service.Name, command})
	}
	return c, nil
}
