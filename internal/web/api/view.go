package api

import (
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
)

// View returns how the API shows a noun, ready to be marshalled: without secrets, and
// without what is the admin's business when it is not for one. A noun that it does not
// know is shown as nothing.
func View(noun any, admin bool) any {
	switch v := noun.(type) {
	case ownline.SessionInfo:
		return sessionView(v)
	case ownline.InvitationInfo:
		return invitationView(v)
	case ownline.Service:
		return serviceView(v)
	case ownline.SiteInfo:
		return siteView(admin)(v)
	case ownline.Device:
		return deviceView(v)
	case ownline.Grant:
		return grantView(v)
	case ownline.User:
		return userView(v)
	case ownline.ChannelInfo:
		return channelView(v)
	case ownline.LoginAttempt:
		return attemptView(v)
	case ownline.RefusalInfo:
		return refusalView(v)
	}
	return struct{}{}
}

// Enrolled is a device with what it needs to knock, as it is shown once.
func Enrolled(d ownline.Device, e access.Enrolment) (any, error) {
	v, err := enrolledView(d, e)
	if err != nil {
		return nil, err
	}
	return v.Body, nil
}
