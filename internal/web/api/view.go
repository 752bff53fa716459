package api

import "github.com/ownline/ownline/internal/ownline"

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
	}
	return struct{}{}
}

// Enrolled is a device with its profile, as it is shown once.
func Enrolled(d ownline.Device, p ownline.Profile) (any, error) {
	v, err := enrolledView(d, p)
	if err != nil {
		return nil, err
	}
	return v.Body, nil
}
