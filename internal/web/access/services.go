package access

import (
	"context"
	"net/netip"

	"github.com/ownline/ownline/internal/ownline"
)

// NewService is what an admin tells of a new service.
type NewService struct {
	Site      ownline.SiteID
	Name      string
	Kind      ownline.ServiceKind // "": forward
	Transport ownline.Transport   // "": tcp
	Target4   netip.AddrPort      // in errors: "target"
	Target6   netip.AddrPort      // in errors: "target6"
	Icon      string
}

// ServiceChange changes what is not nil. A change of transport or target ends the
// service's sessions.
type ServiceChange struct {
	Name      *string
	Transport *ownline.Transport
	Target4   *netip.AddrPort // the zero AddrPort: none any more
	Target6   *netip.AddrPort
	Icon      *string
}

// ServiceQuery selects services; the zero Site means every site.
type ServiceQuery struct {
	ownline.Page
	Site ownline.SiteID
}

// Services lists services by name: an admin all, others those granted to them.
func (a *Access) Services(ctx context.Context, actor Actor, q ServiceQuery) ([]ownline.Service, string, error) {
	return nil, "", errUnfinished
}

// Service returns one of those that Services lists.
func (a *Access) Service(ctx context.Context, actor Actor, id ownline.ServiceID) (ownline.Service, error) {
	return ownline.Service{}, errUnfinished
}

// ServicesNamed returns those that Services lists that have this name: one for each site at
// most.
func (a *Access) ServicesNamed(ctx context.Context, actor Actor, name string) ([]ownline.Service, error) {
	return nil, errUnfinished
}

// AddService makes a service (admin). Its targets must lie in the site's local networks.
func (a *Access) AddService(ctx context.Context, actor Actor, n NewService) (ownline.Service, error) {
	return ownline.Service{}, errUnfinished
}

// ChangeService changes a service (admin).
func (a *Access) ChangeService(ctx context.Context, actor Actor, id ownline.ServiceID, c ServiceChange) (ownline.Service, error) {
	return ownline.Service{}, errUnfinished
}

// RemoveService removes a service with its grants (admin) and ends its sessions; history
// keeps it.
func (a *Access) RemoveService(ctx context.Context, actor Actor, id ownline.ServiceID) error {
	return errUnfinished
}
